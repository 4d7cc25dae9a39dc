//! How misuse of the attributes reads: one error, at the author's line.

#[test]
fn misuse_is_one_error_at_the_line_that_is_wrong() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
