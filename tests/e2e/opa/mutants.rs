//! Inputs that no connector would make: a value taken away, of another type, far too long, of
//! other scripts. Which, only the seed tells.

use crmgate_domain::{Document, Number, Object};

/// The parts of the input that are spoilt, which come from outside.
const PARTS: [&str; 5] = ["record", "before", "changes", "actor", "related"];

/// Lists that the gate itself makes: they are always lists.
const LISTS: [&str; 3] = ["roles", "groups", "scopes"];

/// A generator that needs no state beyond its seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(sides.max(1)).unwrap()).unwrap()
    }
}

/// The input with one place of it spoilt, and what was done.
pub(super) fn spoil(input: &Document, seed: u64) -> (Document, String) {
    let mut dice = Dice(seed);
    let mut places = Vec::new();
    let members = input.as_object().unwrap();
    for part in PARTS {
        if let Some(value) = members.get(part) {
            walk(value, &mut vec![part.to_owned()], &mut places);
        }
    }
    places.retain(|place| *place != ["actor"]);
    let place = places.swap_remove(dice.roll(places.len()));
    let value = odd(&mut dice);
    let shown = value.as_ref().map_or("nothing".to_owned(), |value| {
        value.to_json().chars().take(40).collect()
    });
    let what = format!("{} is {shown}", place.join("."));
    (replaced(input, &place, value.as_ref()), what)
}

fn walk(value: &Document, path: &mut Vec<String>, places: &mut Vec<Vec<String>>) {
    places.push(path.clone());
    if let Document::Object(members) = value {
        for (name, member) in members.iter() {
            if LISTS.contains(&name) {
                continue;
            }
            path.push(name.to_owned());
            walk(member, path, places);
            path.pop();
        }
    }
}

/// An odd value; `None` takes the place away.
fn odd(dice: &mut Dice) -> Option<Document> {
    let number = |text: &str| Document::Number(Number::parse(text).unwrap());
    let texts = [
        "",
        " ",
        "\u{a0}",
        "x",
        "0",
        "-1",
        "1e3",
        "true",
        "null",
        "\u{0}",
        "a@b",
        "\u{661}\u{662}\u{663}",
        "\u{2028}",
        "e\u{301}",
        "\u{1f44d}\u{1f3fd}",
        "\u{202e}abc",
        "ß",
        "İ",
        "ǅ",
        "ﬀ",
        "Ω",
        "我",
        "`%s %d`",
        "../..",
        "4111 1111 1111 1111",
        "GB82 WEST 1234 5698 7654 32",
        "GB82WEST12345698765431",
        "2024-02-30",
        "078-05-1120",
        "closed_won",
        "native:X",
        "+",
        "00",
        "Анна Петрова",
        "MÜLLER & SÖHNE GmbH",
    ];
    Some(match dice.roll(18) {
        0 => return None,
        1 => Document::Null,
        2 => Document::Bool(dice.roll(2) == 0),
        3 => number(
            [
                "0",
                "-1",
                "0.1",
                "1000000000000000",
                "-0.0",
                "99999999999999999999",
                "12.5",
                "1",
            ][dice.roll(8)],
        ),
        4 => Document::Array(Vec::new()),
        5 => Document::Array(vec![Document::Null, Document::from("x"), number("1")]),
        6 => Document::Object(Object::new()),
        7 => Document::Object([("id".to_owned(), Document::Null)].into_iter().collect()),
        8 => Document::from("x".repeat(4_000)),
        9 => Document::from("4 1 é \u{1f44d} 30 - 7/".repeat(200)),
        10 => Document::from("9".repeat(40)),
        11 | 12 => Document::from(noise(dice)),
        _ => Document::from(texts[dice.roll(texts.len())]),
    })
}

/// What looks like numbers of all kinds, and now and then is one.
fn noise(dice: &mut Dice) -> String {
    let parts = [
        "0",
        "00",
        "4111",
        "1111",
        "12",
        "7",
        "756.",
        "-",
        " ",
        ".",
        "+",
        "X",
        "A",
        "DE89",
        "GB82",
        "3704 0044 0532 0130 00",
        "01234567L",
        "010203-0023",
        "RSSMRA85T10A562S",
        "219-09-9999",
        "85.07.30-052.09",
        "AB 12 34 56 C",
        "65929970489",
        "378282246310005",
        "é",
        "\u{661}",
        ", ",
    ];
    let many = dice.roll(12) + 1;
    (0..many).map(|_| parts[dice.roll(parts.len())]).collect()
}

fn replaced(value: &Document, path: &[String], by: Option<&Document>) -> Document {
    let Some((name, rest)) = path.split_first() else {
        return by.cloned().unwrap_or_default();
    };
    let mut members = value.as_object().cloned().unwrap_or_default();
    if rest.is_empty() && by.is_none() {
        members.remove(name);
    } else {
        let inner = members.get(name).cloned().unwrap_or_default();
        members.set(name, replaced(&inner, rest, by));
    }
    Document::Object(members)
}
