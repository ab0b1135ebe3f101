//! The text of expressions and statements as it stands in the file.
//!
//! The engine's spans leave the quotes out of strings, and so of everything that begins or ends
//! with one; those of objects begin behind the first member.

use crate::syntax::{self, Expr, ExprRef, Literal, LiteralStmt, Part, Span};

/// The text of an expression.
pub(crate) fn of(expr: &ExprRef) -> &str {
    let mut strings = Vec::new();
    collect(Part::Expr(expr), &mut strings);
    if let Expr::Object { span, fields, .. } = expr.as_ref()
        && let Some((_, key, _)) = fields.first()
    {
        let contents = span.source.contents();
        let range =
            |start: u32, end: u32| usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let found = range(key.span().start, span.end).and_then(|(key, end)| {
            let open = contents.get(..key)?.rfind('{')?;
            contents.get(open..end)
        });
        return found.unwrap_or_else(|| span.text());
    }
    whole(expr.span(), &strings)
}

/// The text of a statement with its modifiers.
pub(crate) fn of_statement(statement: &LiteralStmt) -> &str {
    let mut strings = Vec::new();
    let mut add = |expr| collect(Part::Expr(expr), &mut strings);
    match &statement.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn {
            key,
            value,
            collection,
            ..
        } => {
            key.iter().for_each(&mut add);
            add(value);
            add(collection);
        }
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => add(expr),
        Literal::Every { domain, .. } => add(domain),
    }
    for modifier in &statement.with_mods {
        add(&modifier.r#as);
    }
    whole(&statement.span, &strings).trim()
}

fn collect<'a>(part: Part<'a>, strings: &mut Vec<&'a Span>) {
    let mut open = vec![part];
    while let Some(part) = open.pop() {
        match part {
            Part::Expr(expr) => {
                if let Expr::String { span, .. } | Expr::RawString { span, .. } = expr.as_ref() {
                    strings.push(span);
                }
                syntax::parts(expr, &mut |part| open.push(part));
            }
            // Within brackets: never the beginning or the end of what is around.
            Part::Query(_) => {}
        }
    }
}

fn whole<'a>(span: &'a Span, strings: &[&Span]) -> &'a str {
    let begins = strings.iter().any(|string| string.start == span.start);
    let ends = strings.iter().any(|string| string.end == span.end);
    let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    let start = index(span.start).saturating_sub(usize::from(begins));
    let end = index(span.end).saturating_add(usize::from(ends));
    span.source
        .contents()
        .get(start..end)
        .unwrap_or_else(|| span.text())
}

/// Line and column of a statement or a body, as editors count: the engine takes a tab for four.
pub(crate) fn place(span: &Span) -> (u32, u32) {
    let before = usize::try_from(span.start).ok();
    let before = before.and_then(|start| span.source.contents().get(..start));
    let line = before.map(|text| text.rsplit('\n').next().unwrap_or(text));
    let column = line.and_then(|line| u32::try_from(line.chars().count()).ok());
    (span.line, column.map_or(span.col, |before| before + 1))
}
