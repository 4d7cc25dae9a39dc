//! Who holds a lane and how far it is settled, as one text in Redis: `revision head origin takeovers done`.

use crate::source::queue::flow::Term;
use std::{collections::VecDeque, fmt};

/// The last sequence number that a script of Redis can tell from the next.
const MOST: u64 = 1 << 53;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::source) struct Register {
    /// Counts settlements.
    pub(in crate::source) revision: u64,
    /// Sequence of the oldest item.
    pub(in crate::source) head: u64,
    /// What the ids of its messages begin with.
    pub(in crate::source) origin: String,
    /// How often a node died with this lane in its hands.
    pub(in crate::source) takeovers: u32,
    /// Items behind the head that are settled and still lie in the lane.
    pub(in crate::source) done: Marks,
}

impl Register {
    /// Of a lane that holds nothing yet.
    pub(in crate::source) fn fresh(head: u64) -> Self {
        Self { revision: 0, head, origin: crate::random::unique(), takeovers: 0, done: Marks::default() }
    }

    /// The same where the order matters: origins follow each other as the terms do, and in each as its lanes do.
    pub(in crate::source) fn of_term(term: Term, lane: u64) -> Self {
        Self { origin: format!("{term:012x}{lane:08x}{}", crate::random::unique()), ..Self::fresh(0) }
    }

    pub(in crate::source) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let register = Self {
            revision: parts.next()?.parse().ok()?,
            head: parts.next()?.parse().ok()?,
            origin: parts.next()?.to_owned(),
            takeovers: parts.next()?.parse().ok()?,
            done: Marks::parse(parts.next()?)?,
        };
        // Neither the scripts of Redis, which count in floating point, nor our own sums go beyond that.
        (parts.next().is_none() && register.head <= MOST).then_some(register)
    }

    /// Whether the item `seq` has been settled.
    pub(in crate::source) fn is_done(&self, seq: u64) -> bool {
        seq < self.head || self.done.is_set((seq - self.head) as usize)
    }

    /// The item `seq` is settled.
    pub(in crate::source) fn settle(&mut self, seq: u64) {
        if let Some(offset) = seq.checked_sub(self.head) {
            self.done.set(offset as usize);
        }
    }

    /// Moves the head over what is settled; returns how many items that is.
    pub(in crate::source) fn pass(&mut self) -> u64 {
        let passed = self.done.pass();
        self.head += passed;
        passed
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, head, origin, takeovers, done } = self;
        write!(f, "{revision} {head} {origin} {takeovers} {done}")
    }
}

/// One bit for each item from the head on; as text four to a hexadecimal digit, the first the lowest, `-` for none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::source) struct Marks(VecDeque<bool>);

impl Marks {
    fn parse(text: &str) -> Option<Self> {
        let mut marks = VecDeque::new();
        for digit in text.chars().filter(|digit| *digit != '-') {
            let digit = digit.to_digit(16)?;
            marks.extend((0..4).map(|bit| digit >> bit & 1 == 1));
        }
        let mut marks = Self(marks);
        marks.shorten();
        Some(marks)
    }

    fn is_set(&self, offset: usize) -> bool {
        self.0.get(offset).copied().unwrap_or(false)
    }

    fn set(&mut self, offset: usize) {
        if self.0.len() <= offset {
            self.0.resize(offset + 1, false);
        }
        if let Some(mark) = self.0.get_mut(offset) {
            *mark = true;
        }
    }

    /// Removes the marks at the front, and says how many there were.
    fn pass(&mut self) -> u64 {
        let passed = self.0.iter().take_while(|mark| **mark).count();
        self.0.drain(..passed);
        passed as u64
    }

    fn shorten(&mut self) {
        while self.0.back() == Some(&false) {
            self.0.pop_back();
        }
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for first in (0..self.0.len()).step_by(4) {
            let digit: u8 = (0..4).map(|bit| u8::from(self.is_set(first + bit)) << bit).sum();
            write!(f, "{digit:x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_comes_back_as_it_was() {
        let mut register = Register::fresh(41);
        for seq in [42, 44, 53] {
            register.settle(seq);
        }
        let text = register.to_string();
        assert!(text.ends_with(" 0 a001"), "{text}");
        assert_eq!(Register::parse(&text), Some(register));
        assert_eq!(Register::parse("1 2 three 4"), None);
        assert_eq!(Register::parse("1 18446744073709551615 x 0 f"), None);
        assert_eq!(Register::parse("1 2 three 4 -").map(|register| register.head), Some(2));
    }

    #[test]
    fn origins_follow_each_other_as_terms_and_lanes_do() {
        let origins = [(9, 300), (10, 2), (10, 11), (1_790_000_000_000, 0)];
        let origins: Vec<_> = origins.iter().map(|(term, lane)| Register::of_term(*term, *lane).origin).collect();
        assert!(origins.is_sorted(), "{origins:?}");
        assert!(origins.iter().all(|origin| !origin.contains(['-', ' '])), "{origins:?}");
    }

    #[test]
    fn the_head_moves_over_what_is_settled_and_no_further() {
        let mut register = Register::fresh(10);
        register.settle(11);
        assert_eq!(register.pass(), 0);
        assert!(register.is_done(11) && !register.is_done(10));
        register.settle(10);
        register.settle(13);
        assert_eq!((register.pass(), register.head), (2, 12));
        assert!(register.is_done(9) && register.is_done(13) && !register.is_done(12));
        register.settle(12);
        assert_eq!(register.pass(), 2);
        assert!(register.to_string().ends_with(" -"));
    }
}
