//! A filter that lets every message pass, for what a call costs and nothing else.

use gristmill_sdk::{Message, Result, Verdict, filter};

#[filter]
fn pass(_: Message) -> Result<Verdict> {
    Ok(Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_passes() {
        assert_eq!(pass(Message::test("a")), Ok(Verdict::Pass));
    }
}
