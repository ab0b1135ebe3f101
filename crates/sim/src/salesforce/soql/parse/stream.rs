//! The tokens ahead: looking at them, taking them, complaining about them.

use super::{MAX_DEPTH, Parser};
use crate::salesforce::soql::QueryError;
use crate::salesforce::soql::token::{Token, TokenKind};

impl Parser {
    pub(super) fn deeper(&mut self) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(QueryError::new(
                "QUERY_TOO_COMPLICATED",
                "Query is either selecting too many fields or the filter conditions are too complicated.",
            ));
        }
        Ok(())
    }

    pub(super) fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += usize::from(token.is_some());
        token
    }

    pub(super) fn at(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.end, |token| token.at)
    }

    pub(super) fn at_end(&self) -> QueryError {
        unexpected("<EOF>", self.end)
    }

    pub(super) fn peek_word(&self, keyword: &str) -> bool {
        is_word(self.tokens.get(self.next), keyword)
    }

    pub(super) fn peek_second_word(&self, keyword: &str) -> bool {
        is_word(self.tokens.get(self.next + 1), keyword)
    }

    /// Takes the next word if it is this keyword.
    pub(super) fn eat(&mut self, keyword: &str) -> bool {
        let there = self.peek_word(keyword);
        self.next += usize::from(there);
        there
    }

    pub(super) fn eat_symbol(&mut self, wanted: &str) -> bool {
        let token = self.tokens.get(self.next);
        let there = matches!(token, Some(Token { kind: TokenKind::Symbol(symbol), .. }) if *symbol == wanted);
        self.next += usize::from(there);
        there
    }

    pub(super) fn word_that(&mut self, fits: fn(&str) -> bool) -> Option<String> {
        match self.tokens.get(self.next) {
            Some(Token {
                kind: TokenKind::Word(word),
                ..
            }) if fits(word) => {
                self.next += 1;
                Some(word.clone())
            }
            _ => None,
        }
    }

    pub(super) fn keyword(&mut self, wanted: &str) -> Result<(), QueryError> {
        if self.eat(wanted) {
            Ok(())
        } else {
            Err(self.surprise())
        }
    }

    pub(super) fn symbol(&mut self, wanted: &str) -> Result<(), QueryError> {
        if self.eat_symbol(wanted) {
            Ok(())
        } else {
            Err(self.surprise())
        }
    }

    pub(super) fn surprise(&self) -> QueryError {
        self.tokens
            .get(self.next)
            .map_or_else(|| self.at_end(), unexpected_token)
    }

    pub(super) fn expect_end(&self) -> Result<(), QueryError> {
        self.tokens
            .get(self.next)
            .map_or(Ok(()), |token| Err(unexpected_token(token)))
    }
}

pub(super) fn is_word(token: Option<&Token>, keyword: &str) -> bool {
    matches!(token, Some(Token { kind: TokenKind::Word(word), .. }) if word.eq_ignore_ascii_case(keyword))
}

pub(super) fn unexpected(what: &str, at: usize) -> QueryError {
    QueryError::malformed(format!("unexpected token: '{what}'")).at(at)
}

pub(super) fn unexpected_token(token: &Token) -> QueryError {
    match &token.kind {
        TokenKind::Word(text) | TokenKind::Literal(text) => unexpected(text, token.at),
        TokenKind::Text(text) => unexpected(&format!("'{text}'"), token.at),
        TokenKind::Symbol(symbol) => unexpected(symbol, token.at),
    }
}
