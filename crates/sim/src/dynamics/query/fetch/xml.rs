//! A query in XML as a tree.

use std::collections::HashMap;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader as XmlReader, XmlVersion};

use super::super::super::error::Outcome;
use super::invalid;

/// Elements within elements.
const MAX_DEPTH: usize = 30;

/// An element of the query.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: HashMap<String, String>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Outcome<Option<usize>> {
        self.get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| invalid(&format!("'{name}' is not a number: '{text}'")))
            })
            .transpose()
    }

    pub(super) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document.
pub(super) fn read(xml: &str) -> Outcome<Element> {
    let mut reader = XmlReader::from_str(xml);
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        let event = reader
            .read_event()
            .map_err(|error| invalid(&error.to_string()))?;
        match event {
            Event::Start(_) if open.len() > MAX_DEPTH => {
                return Err(invalid("elements are nested too deeply"));
            }
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => {
                let child = element(&start)?;
                if let Some(parent) = open.last_mut() {
                    parent.children.push(child);
                }
            }
            Event::End(_) => {
                if let (Some(child), Some(parent)) = (open.pop(), open.last_mut()) {
                    parent.children.push(child);
                }
            }
            Event::Text(text) => {
                if let Some(parent) = open.last_mut() {
                    parent.text.push_str(text.as_ref());
                }
            }
            Event::GeneralRef(reference) => {
                let letter = entity(&reference).ok_or_else(|| invalid("an unknown entity"))?;
                if let Some(parent) = open.last_mut() {
                    parent.text.push(letter);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    open.pop()
        .and_then(|mut root| root.children.pop())
        .filter(|_| open.is_empty())
        .ok_or_else(|| invalid("the document is empty or not closed"))
}

fn entity(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(letter)) = reference.resolve_char_ref() {
        return Some(letter);
    }
    Some(match reference.as_ref() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

fn element(start: &BytesStart<'_>) -> Outcome<Element> {
    let mut element = Element {
        name: start.name().as_ref().to_owned(),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| invalid(&error.to_string()))?;
        let name = attribute.key.as_ref().to_owned();
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| invalid(&error.to_string()))?;
        element.attributes.insert(name, value.into_owned());
    }
    Ok(element)
}
