//! Filters as they are written, before any table gives their names a meaning.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::super::cell::parse_time;
use super::super::error::Outcome;
use super::lexer::{Token, syntax, tokens};

/// Deeper filters are refused, as the service refuses them.
const MAX_DEPTH: usize = 100;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare(Operand, Compare, Operand),
    /// `contains(name,'x')`, and the service's own functions with their named parameters.
    Call(String, Vec<(Option<String>, Operand)>),
    /// `nav/any(o:…)`: the collection, whether it must hold for all, the variable and the condition.
    Each {
        path: Vec<String>,
        all: bool,
        variable: String,
        inner: Option<Box<Expr>>,
    },
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    Path(Vec<String>),
    Literal(Literal),
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Guid(Uuid),
    Time(Timestamp),
    Date(Date),
    Enum(String),
    List(Vec<Literal>),
}

impl Literal {
    /// The literal's type, for messages.
    pub(crate) fn edm(&self) -> &'static str {
        match self {
            Self::Null => "<null>",
            Self::Bool(_) => "Edm.Boolean",
            Self::Number(text) if text.contains(['.', 'e', 'E']) => "Edm.Decimal",
            Self::Number(_) => "Edm.Int32",
            Self::Text(_) | Self::Enum(_) => "Edm.String",
            Self::Guid(_) => "Edm.Guid",
            Self::Time(_) => "Edm.DateTimeOffset",
            Self::Date(_) => "Edm.Date",
            Self::List(_) => "Collection(Edm.String)",
        }
    }
}

impl Compare {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            _ => return None,
        })
    }

    /// The name that messages give it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Eq => "Equal",
            Self::Ne => "NotEqual",
            Self::Gt => "GreaterThan",
            Self::Ge => "GreaterThanOrEqual",
            Self::Lt => "LessThan",
            Self::Le => "LessThanOrEqual",
        }
    }
}

/// Reads a filter. `aliases` holds the query's `@name` parameters.
pub(crate) fn parse(text: &str, aliases: &HashMap<String, String>) -> Outcome<Expr> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        aliases,
    };
    let expr = parser.or()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(syntax("Syntax error")),
    }
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    aliases: &'a HashMap<String, String>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self) -> Outcome<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token.ok_or_else(|| syntax("Expression expected"))
    }

    fn take_if(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += 1;
        }
        found
    }

    fn word_is(&mut self, word: &str) -> bool {
        self.take_if(&Token::Word(word.to_owned()))
    }

    fn expect(&mut self, wanted: &Token, name: &str) -> Outcome<()> {
        if self.take_if(wanted) {
            Ok(())
        } else {
            Err(syntax(&format!("{name} expected")))
        }
    }

    fn or(&mut self) -> Outcome<Expr> {
        self.deeper()?;
        let mut sides = vec![self.and()?];
        while self.word_is("or") {
            sides.push(self.and()?);
        }
        self.depth -= 1;
        Ok(only(sides, Expr::Or))
    }

    fn and(&mut self) -> Outcome<Expr> {
        let mut sides = vec![self.unary()?];
        while self.word_is("and") {
            sides.push(self.unary()?);
        }
        Ok(only(sides, Expr::And))
    }

    fn unary(&mut self) -> Outcome<Expr> {
        if self.word_is("not") {
            self.deeper()?;
            let inner = self.unary()?;
            self.depth -= 1;
            return Ok(Expr::Not(Box::new(inner)));
        }
        if self.take_if(&Token::Open) {
            let inner = self.or()?;
            self.expect(&Token::Close, "')'")?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Outcome<Expr> {
        if let (Some(Token::Word(name)), Some(Token::Open)) =
            (self.peek().cloned(), self.tokens.get(self.at + 1))
        {
            self.at += 2;
            return self.call(&name);
        }
        let left = self.operand()?;
        let Some(Token::Word(word)) = self.peek().cloned() else {
            return match left {
                Operand::Path(_) => Ok(Expr::Compare(
                    left,
                    Compare::Eq,
                    Operand::Literal(Literal::Bool(true)),
                )),
                Operand::Literal(_) => Err(syntax("A comparison is expected")),
            };
        };
        let Some(compare) = Compare::named(&word) else {
            if matches!(word.as_str(), "and" | "or") {
                return Ok(Expr::Compare(
                    left,
                    Compare::Eq,
                    Operand::Literal(Literal::Bool(true)),
                ));
            }
            return Err(syntax(&format!("The operator '{word}' is not supported")));
        };
        self.at += 1;
        let right = self.operand()?;
        Ok(Expr::Compare(left, compare, right))
    }

    fn call(&mut self, name: &str) -> Outcome<Expr> {
        if let Some((path, which)) = name.rsplit_once('/')
            && matches!(which, "any" | "all")
        {
            return self.each(path, which == "all");
        }
        let mut arguments = Vec::new();
        while !self.take_if(&Token::Close) {
            if !arguments.is_empty() {
                self.expect(&Token::Comma, "','")?;
            }
            let named = match (self.peek().cloned(), self.tokens.get(self.at + 1)) {
                (Some(Token::Word(word)), Some(Token::Equals)) => Some(word),
                _ => None,
            };
            if named.is_some() {
                self.at += 2;
            }
            arguments.push((named, self.operand()?));
        }
        let call = Expr::Call(name.to_owned(), arguments);
        if self.word_is("eq") {
            return match self.operand()? {
                Operand::Literal(Literal::Bool(true)) => Ok(call),
                Operand::Literal(Literal::Bool(false)) => Ok(Expr::Not(Box::new(call))),
                _ => Err(syntax("A function can only be compared with true or false")),
            };
        }
        Ok(call)
    }

    fn each(&mut self, path: &str, all: bool) -> Outcome<Expr> {
        let path = path.split('/').map(str::to_owned).collect();
        if self.take_if(&Token::Close) {
            return Ok(Expr::Each {
                path,
                all,
                variable: String::new(),
                inner: None,
            });
        }
        // `o:o/name` came as one word, or as `o:` and the rest.
        let Token::Word(word) = self.take()? else {
            return Err(syntax("A range variable is expected"));
        };
        let (variable, rest) = word
            .split_once(':')
            .ok_or_else(|| syntax("A range variable is expected"))?;
        if !rest.is_empty() {
            self.at -= 1;
            if let Some(slot) = self.tokens.get_mut(self.at) {
                *slot = Token::Word(rest.to_owned());
            }
        }
        let inner = self.or()?;
        self.expect(&Token::Close, "')'")?;
        Ok(Expr::Each {
            path,
            all,
            variable: variable.to_owned(),
            inner: Some(Box::new(inner)),
        })
    }

    fn operand(&mut self) -> Outcome<Operand> {
        let literal = match self.take()? {
            Token::Text(text) => Literal::Text(text),
            Token::Enum(text) => Literal::Enum(text),
            Token::OpenList => self.list()?,
            Token::Word(word) if word.starts_with('@') => return self.alias(&word),
            Token::Word(word) => match literal(&word) {
                Some(literal) => literal,
                None => {
                    return Ok(Operand::Path(word.split('/').map(str::to_owned).collect()));
                }
            },
            Token::Open | Token::Close | Token::CloseList | Token::Comma | Token::Equals => {
                return Err(syntax("Expression expected"));
            }
        };
        Ok(Operand::Literal(literal))
    }

    fn list(&mut self) -> Outcome<Literal> {
        self.deeper()?;
        let mut items = Vec::new();
        while !self.take_if(&Token::CloseList) {
            if !items.is_empty() {
                self.expect(&Token::Comma, "','")?;
            }
            match self.operand()? {
                Operand::Literal(item) => items.push(item),
                Operand::Path(_) => return Err(syntax("A literal is expected")),
            }
        }
        self.depth -= 1;
        Ok(Literal::List(items))
    }

    fn deeper(&mut self) -> Outcome<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax("The recursion limit was exceeded"));
        }
        Ok(())
    }

    fn alias(&mut self, name: &str) -> Outcome<Operand> {
        let Some(text) = self.aliases.get(name) else {
            // The standard takes a parameter without a value as null.
            return Ok(Operand::Literal(Literal::Null));
        };
        // A parameter stands for a value; it can't be made of other parameters.
        let none = HashMap::new();
        let mut inner = Parser {
            tokens: tokens(text)?,
            at: 0,
            depth: 0,
            aliases: &none,
        };
        if text.contains('@') && inner.tokens.iter().any(is_alias) {
            return Err(syntax(&format!("The parameter '{name}' names another one")));
        }
        match inner.operand()? {
            operand if inner.peek().is_none() => Ok(operand),
            _ => Err(syntax(&format!("The parameter '{name}' is not one value"))),
        }
    }
}

fn is_alias(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.starts_with('@'))
}

fn only(mut sides: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match sides.pop() {
        Some(side) if sides.is_empty() => side,
        Some(side) => {
            sides.push(side);
            join(sides)
        }
        None => join(sides),
    }
}

/// A word that is a value rather than a name.
pub(crate) fn literal(word: &str) -> Option<Literal> {
    match word {
        "null" => return Some(Literal::Null),
        "true" => return Some(Literal::Bool(true)),
        "false" => return Some(Literal::Bool(false)),
        _ => {}
    }
    if word.len() == 36
        && let Ok(id) = Uuid::try_parse(word)
    {
        return Some(Literal::Guid(id));
    }
    let first = word.chars().next()?;
    if !first.is_ascii_digit() && !matches!(first, '-' | '+' | '.') {
        return None;
    }
    if word.len() == 10
        && let Ok(day) = word.parse::<Date>()
    {
        return Some(Literal::Date(day));
    }
    if word.contains('T') || word.contains(':') {
        return parse_time(word).map(Literal::Time);
    }
    super::super::cell::parse_decimal(word).map(|_| Literal::Number(word.to_owned()))
}
