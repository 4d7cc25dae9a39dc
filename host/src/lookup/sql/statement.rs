//! What a plugin may ask of a database: one statement, of a kind that reads or changes rows and does nothing else.

use super::super::Failure;

/// Bytes of a statement.
const BYTES: usize = 64 << 10;
/// Values beside it.
const PARAMS: usize = 1_000;

const READING: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];
const WRITING: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"];

/// What reads the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
    MySql,
}

/// Refuses what could reach beyond rows (files, sessions, other databases), or hide from the eye here what it is.
///
/// That a statement which may only read changes nothing is for the database itself to see to.
pub(super) fn check(statement: &str, params: usize, engine: Engine, write: bool) -> Result<(), Failure> {
    if statement.len() > BYTES {
        return Err(Failure::TooLarge(format!("a statement of {} bytes is longer than {BYTES}", statement.len())));
    }
    if params > PARAMS {
        return Err(Failure::TooLarge(format!("{params} values for one statement are more than {PARAMS}")));
    }
    if statement.contains('\0') {
        return Err(invalid("a statement holds no byte 0"));
    }
    kind(statement, write)?;
    if engine == Engine::MySql && (statement.contains("/*!") || statement.contains("/*M!")) {
        return Err(Failure::Denied("comments that are executed, as `/*! … */`, are not granted".to_owned()));
    }
    // The other databases take only one statement with values anyway.
    if engine == Engine::Sqlite && !is_single(statement) {
        return Err(invalid("there is more than one statement; ask one after the other"));
    }
    Ok(())
}

/// Nothing may stand before the word that says what the statement is, as comments nest in some databases and not in others.
fn kind(statement: &str, write: bool) -> Result<(), Failure> {
    let start = statement.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == '(');
    let end = start.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(start.len());
    let word = start.get(..end).unwrap_or_default().to_ascii_uppercase();
    let is = |words: &[&str]| words.contains(&word.as_str());
    if is(&READING) || (write && is(&WRITING)) {
        return Ok(());
    }
    if is(&WRITING) {
        return Err(read_only());
    }
    let (reading, writing) = (READING.join(", "), WRITING.join(", "));
    Err(Failure::Denied(format!(
        "a statement begins with one of {reading}, or, where changes are granted, {writing}; not with a comment or anything else"
    )))
}

/// What is said where something would be changed.
pub(super) fn read_only() -> Failure {
    Failure::Denied("the plugin may only read this database; `allow_sql = [\"NAME:write\"]` grants more".to_owned())
}

fn invalid(text: &str) -> Failure {
    Failure::Invalid(text.to_owned())
}

/// Whether nothing but space and comments stands behind the first semicolon, as SQLite reads.
fn is_single(statement: &str) -> bool {
    let mut rest = statement;
    let mut ended = false;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '\'' | '"' | '`' => quoted(rest, first),
            '[' => rest.find(']').map_or(rest.len(), |at| at + 1),
            '-' if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |at| at + 1),
            '/' if rest.starts_with("/*") => {
                rest.get(2..).and_then(|inside| inside.find("*/")).map_or(rest.len(), |at| at + 4)
            }
            _ => 0,
        };
        let comment = skipped > 0 && matches!(first, '-' | '/');
        match first {
            ';' => ended = true,
            _ if ended && !comment && !first.is_ascii_whitespace() => return false,
            _ => {}
        }
        rest = rest.get(skipped.max(first.len_utf8())..).unwrap_or_default();
    }
    true
}

/// The length of what stands in these quotes, which within are written twice.
fn quoted(text: &str, quote: char) -> usize {
    let inside = text.get(1..).unwrap_or_default();
    inside.find(quote).map_or(text.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(statement: &str, write: bool) -> Result<(), Failure> {
        check(statement, 0, Engine::Sqlite, write)
    }

    #[test]
    fn what_reads_rows_is_let_through_however_it_is_spelled() {
        for statement in
            ["select 1", " \n(SELECT 1)", "WITH a AS (SELECT 1) SELECT * FROM a;", "values(1)", "SELECT ';' -- ;x\n;"]
        {
            assert_eq!(checked(statement, false), Ok(()), "{statement}");
        }
        assert!(
            matches!(checked("INSERT INTO t VALUES (1)", false), Err(Failure::Denied(why)) if why.contains(":write"))
        );
        assert_eq!(checked("INSERT INTO t VALUES (1)", true), Ok(()));
    }

    #[test]
    fn whatever_is_no_question_about_rows_is_denied_even_to_a_plugin_that_may_write() {
        for statement in [
            "",
            "ATTACH '/etc/x.db' AS x",
            "PRAGMA query_only = 0",
            "VACUUM INTO '/tmp/x'",
            "SET x = 1",
            "BEGIN",
            "COMMIT",
            "COPY t TO PROGRAM 'sh'",
            "CREATE TABLE t (a)",
            "DROP TABLE t",
            "-- a\nSELECT 1",
            "/* /* */ SELECT 1 */ SET x = 1",
            "EXPLAIN ANALYZE DELETE FROM t",
            "LOAD DATA INFILE 'x' INTO TABLE t",
            "CALL p()",
            "SELECTED",
            "1",
        ] {
            assert!(matches!(checked(statement, true), Err(Failure::Denied(_))), "{statement}");
        }
        let hidden = "/*!SET SESSION tx_read_only=0, @a=(*/ SELECT 1 /*!)*/";
        let inside = "SELECT 1 /*! INTO OUTFILE '/tmp/x' */";
        for statement in [hidden, inside, "SELECT 1 /*M!50101 , 2 */"] {
            assert!(matches!(check(statement, 0, Engine::MySql, true), Err(Failure::Denied(_))), "{statement}");
        }
    }

    #[test]
    fn a_second_statement_is_found_wherever_it_hides() {
        for statement in
            ["SELECT 1; DELETE FROM t", "SELECT 'a''b';SELECT 2", "SELECT 1 /* ' */; SELECT 2 --'", "SELECT [;];x"]
        {
            assert!(matches!(checked(statement, true), Err(Failure::Invalid(_))), "{statement}");
        }
        for statement in ["SELECT \";\", `;`, [;], 'it''s; x'; ", "SELECT 1;;; /* ; x */ -- y", "SELECT '", "SELECT /*"]
        {
            assert_eq!(checked(statement, true), Ok(()), "{statement}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let long = format!("SELECT {}", "1".repeat(BYTES));
        assert!(matches!(checked(&long, false), Err(Failure::TooLarge(_))));
        assert!(matches!(check("SELECT 1", 1_001, Engine::Sqlite, false), Err(Failure::TooLarge(_))));
        assert!(matches!(checked("SELECT 1\0", false), Err(Failure::Invalid(_))));
    }
}
