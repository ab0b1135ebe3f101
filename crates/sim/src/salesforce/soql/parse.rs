//! Tokens to syntax tree.

mod stream;

use self::stream::{is_word, unexpected, unexpected_token};
use super::QueryError;
use super::ast::{Filter, Function, Item, Literal, Operand, Operator, Order, Path, Query, Which};
use super::dates;
use super::token::{Token, TokenKind, tokens};
use crate::salesforce::cell::{parse_date, parse_moment};

/// How deeply conditions and subqueries may nest, so that a query can't exhaust the stack.
const MAX_DEPTH: usize = 40;

const CLAUSES: [&str; 12] = [
    "WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", "USING", "WITH", "FOR", "HAVING", "FROM", "ALL",
    "UPDATE",
];

/// Reads a whole query.
pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.len(),
        depth: 0,
    };
    if parser.tokens.is_empty() {
        return Err(QueryError::malformed("unexpected token: '<EOF>'"));
    }
    let query = parser.query()?;
    parser.expect_end()?;
    Ok(query)
}

/// Reads a condition alone.
pub(crate) fn parse_filter(text: &str) -> Result<Filter, QueryError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.len(),
        depth: 0,
    };
    let filter = parser.filter()?;
    parser.expect_end()?;
    Ok(filter)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Query, QueryError> {
        self.deeper()?;
        self.keyword("SELECT")?;
        let mut query = Query {
            select: self.items()?,
            ..Query::default()
        };
        self.keyword("FROM")?;
        query.from = self.path()?;
        self.eat("AS");
        if let Some(alias) = self.word_that(|word| !is_clause(word)) {
            query.alias = Some(alias);
        }
        if self.eat("USING") {
            self.keyword("SCOPE")?;
            self.path()?;
        }
        if self.eat("WHERE") {
            query.filter = Some(self.filter()?);
        }
        if self.eat("WITH") {
            self.keyword("SECURITY_ENFORCED")?;
        }
        if self.eat("GROUP") {
            self.keyword("BY")?;
            query.group_by = self.list(Self::path)?;
        }
        if self.eat("ORDER") {
            self.keyword("BY")?;
            query.order = self.list(Self::order)?;
        }
        if self.eat("LIMIT") {
            query.limit = Some(self.count()?);
        }
        if self.eat("OFFSET") {
            query.offset = self.count()?;
        }
        while self.eat("FOR") {
            // VIEW and REFERENCE only touch what a person has seen last.
            self.path()?;
        }
        self.depth -= 1;
        Ok(query)
    }

    fn items(&mut self) -> Result<Vec<Item>, QueryError> {
        self.list(Self::item)
    }

    fn item(&mut self) -> Result<Item, QueryError> {
        if self.eat_symbol("(") {
            let query = self.query()?;
            self.symbol(")")?;
            return Ok(Item::Children(Box::new(query)));
        }
        let path = self.path()?;
        if !self.eat_symbol("(") {
            return Ok(Item::Field {
                path,
                alias: self.alias(),
            });
        }
        let name = path.dotted().to_ascii_uppercase();
        if name == "COUNT" && self.eat_symbol(")") {
            return Ok(Item::CountAll);
        }
        let argument = self.path()?;
        self.symbol(")")?;
        if name == "FIELDS" {
            let which = match argument.dotted().to_ascii_uppercase().as_str() {
                "ALL" => Which::All,
                "STANDARD" => Which::Standard,
                "CUSTOM" => Which::Custom,
                other => return Err(unexpected(other, argument.at)),
            };
            return Ok(Item::Fields { which, at: path.at });
        }
        // Labels equal values here, and money is never converted: both functions are the field itself.
        if matches!(name.as_str(), "TOLABEL" | "CONVERTCURRENCY" | "FORMAT") {
            return Ok(Item::Field {
                path: argument,
                alias: self.alias(),
            });
        }
        let Some(function) = function(&name) else {
            return Err(unexpected("(", path.at));
        };
        Ok(Item::Aggregate {
            function,
            path: argument,
            alias: self.alias(),
        })
    }

    /// A name of its own; only what is followed by more of the list, or its end, can be one.
    fn alias(&mut self) -> Option<String> {
        let after = self.tokens.get(self.next + 1);
        let ends = is_word(after, "FROM")
            || matches!(
                after,
                Some(Token {
                    kind: TokenKind::Symbol(","),
                    ..
                })
            );
        if ends {
            self.word_that(|word| !is_clause(word))
        } else {
            None
        }
    }

    /// One or more conditions; what joins them must not be mixed.
    fn filter(&mut self) -> Result<Filter, QueryError> {
        self.deeper()?;
        let first = self.condition()?;
        let joined = if self.peek_word("AND") {
            Filter::All(self.joined(first, "AND", "OR")?)
        } else if self.peek_word("OR") {
            Filter::Any(self.joined(first, "OR", "AND")?)
        } else {
            first
        };
        self.depth -= 1;
        Ok(joined)
    }

    fn joined(&mut self, first: Filter, by: &str, other: &str) -> Result<Vec<Filter>, QueryError> {
        let mut all = vec![first];
        while self.eat(by) {
            all.push(self.condition()?);
        }
        if self.peek_word(other) {
            return Err(unexpected(other, self.at()));
        }
        Ok(all)
    }

    fn condition(&mut self) -> Result<Filter, QueryError> {
        if self.eat("NOT") {
            self.deeper()?;
            let inner = self.condition()?;
            self.depth -= 1;
            return Ok(Filter::Not(Box::new(inner)));
        }
        if self.eat_symbol("(") {
            let inner = self.filter()?;
            self.symbol(")")?;
            return Ok(inner);
        }
        let path = self.path()?;
        let operator = self.operator()?;
        let operand = match operator {
            Operator::In | Operator::NotIn if self.peek_second_word("SELECT") => {
                self.symbol("(")?;
                let query = self.query()?;
                self.symbol(")")?;
                Operand::Query(Box::new(query))
            }
            Operator::In | Operator::NotIn | Operator::Includes | Operator::Excludes => {
                self.symbol("(")?;
                let all = self.list(Self::literal)?;
                self.symbol(")")?;
                Operand::Many(all)
            }
            _ => Operand::One(self.literal()?),
        };
        Ok(Filter::Test {
            path,
            operator,
            operand,
        })
    }

    fn operator(&mut self) -> Result<Operator, QueryError> {
        let Some(token) = self.take() else {
            return Err(self.at_end());
        };
        let operator = match &token.kind {
            TokenKind::Symbol(symbol) => match *symbol {
                "=" => Some(Operator::Equal),
                "!=" | "<>" => Some(Operator::NotEqual),
                "<" => Some(Operator::Less),
                "<=" => Some(Operator::LessOrEqual),
                ">" => Some(Operator::Greater),
                ">=" => Some(Operator::GreaterOrEqual),
                _ => None,
            },
            TokenKind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "LIKE" => Some(Operator::Like),
                "IN" => Some(Operator::In),
                "NOT" if self.eat("IN") => Some(Operator::NotIn),
                "INCLUDES" => Some(Operator::Includes),
                "EXCLUDES" => Some(Operator::Excludes),
                _ => None,
            },
            TokenKind::Literal(_) | TokenKind::Text(_) => None,
        };
        operator.ok_or_else(|| unexpected_token(&token))
    }

    fn literal(&mut self) -> Result<Literal, QueryError> {
        let Some(token) = self.take() else {
            return Err(self.at_end());
        };
        match &token.kind {
            TokenKind::Text(raw) => Ok(Literal::Text(raw.clone())),
            TokenKind::Literal(text) => {
                number_or_date(text).ok_or_else(|| unexpected_token(&token))
            }
            TokenKind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "NULL" => Ok(Literal::Null),
                "TRUE" => Ok(Literal::Bool(true)),
                "FALSE" => Ok(Literal::Bool(false)),
                name if dates::known(name) => {
                    let count = if self.eat_symbol(":") {
                        Some(self.count()?)
                    } else {
                        None
                    };
                    let count = count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
                    Ok(Literal::Range {
                        name: name.to_owned(),
                        count,
                    })
                }
                _ => Err(unexpected_token(&token)),
            },
            TokenKind::Symbol(_) => Err(unexpected_token(&token)),
        }
    }

    fn order(&mut self) -> Result<Order, QueryError> {
        let mut path = self.path()?;
        let mut applied = None;
        if self.eat_symbol("(") {
            applied = function(&path.dotted().to_ascii_uppercase());
            if applied.is_none() {
                return Err(unexpected("(", path.at));
            }
            path = self.path()?;
            self.symbol(")")?;
        }
        let descending = self.eat("DESC") || {
            self.eat("ASC");
            false
        };
        let mut nulls_last = false;
        if self.eat("NULLS") {
            nulls_last = self.eat("LAST");
            if !nulls_last {
                self.keyword("FIRST")?;
            }
        }
        Ok(Order {
            path,
            function: applied,
            descending,
            nulls_last,
        })
    }

    fn path(&mut self) -> Result<Path, QueryError> {
        match self.take() {
            Some(Token {
                kind: TokenKind::Word(word),
                at,
            }) => {
                let parts: Vec<_> = word.split('.').map(str::to_owned).collect();
                if parts.iter().any(String::is_empty) {
                    Err(unexpected(".", at))
                } else {
                    Ok(Path { parts, at })
                }
            }
            Some(token) => Err(unexpected_token(&token)),
            None => Err(self.at_end()),
        }
    }

    fn count(&mut self) -> Result<usize, QueryError> {
        match self.take() {
            Some(Token {
                kind: TokenKind::Literal(text),
                at,
            }) => text.parse().map_err(|_| unexpected(&text, at)),
            Some(token) => Err(unexpected_token(&token)),
            None => Err(self.at_end()),
        }
    }

    fn list<T>(
        &mut self,
        one: fn(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        let mut all = vec![one(self)?];
        while self.eat_symbol(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }
}

fn function(name: &str) -> Option<Function> {
    match name {
        "COUNT" => Some(Function::Count),
        "COUNT_DISTINCT" => Some(Function::CountDistinct),
        "MIN" => Some(Function::Min),
        "MAX" => Some(Function::Max),
        "SUM" => Some(Function::Sum),
        "AVG" => Some(Function::Avg),
        _ => None,
    }
}

fn is_clause(word: &str) -> bool {
    CLAUSES
        .iter()
        .any(|clause| clause.eq_ignore_ascii_case(word))
}

fn number_or_date(text: &str) -> Option<Literal> {
    if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Some(Literal::Number(number));
    }
    parse_date(text)
        .map(Literal::Date)
        .or_else(|| parse_moment(text).map(Literal::Moment))
}
