//! How databases and grants of them are written.

use super::{
    super::{DatabaseAddress, SqlGrant},
    Wrong, check_name, wrong,
};
use std::path::Path;

const HELP: &str =
    "write \"postgres://user:password@host/name\", \"mysql://user:password@host/name\" or \"sqlite:file.db\"";

/// Where a database is; a file is taken from `directory`.
pub(in crate::config) fn database_address(text: &str, directory: &Path) -> Result<DatabaseAddress, Wrong> {
    let (scheme, rest) = text.split_once(':').ok_or(wrong("is no address of a database", HELP))?;
    match scheme {
        "sqlite" => sqlite(rest, directory),
        "postgres" | "postgresql" => server(rest).map(|()| DatabaseAddress::Postgres(text.to_owned())),
        "mysql" | "mariadb" => server(rest).map(|()| DatabaseAddress::MySql(format!("mysql:{rest}"))),
        _ => Err(wrong("names a kind of database that is not known", HELP)),
    }
}

fn sqlite(rest: &str, directory: &Path) -> Result<DatabaseAddress, Wrong> {
    let file = rest.strip_prefix("//").unwrap_or(rest);
    match file {
        "" | ":memory:" => Err(wrong("names no file", "write the path of the database: \"sqlite:file.db\"")),
        _ if file.contains(['?', '\0']) => Err(wrong(
            "has more than a path",
            "write the path only: \"sqlite:file.db\"; plugins read unless granted more",
        )),
        _ => Ok(DatabaseAddress::Sqlite(directory.join(file))),
    }
}

/// What follows the scheme: the library that connects reads the rest, and can only do so from a URL.
fn server(rest: &str) -> Result<(), Wrong> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(wrong("is no address of a database", HELP));
    };
    let (authority, path) =
        rest.split_once('/').ok_or(wrong("names no database", "end it with a slash and its name"))?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let query = path.split_once('?').map(|(_, query)| query);
    if host.is_empty() && query.is_none() {
        return Err(wrong("names no host", HELP));
    }
    if path.is_empty() || path.starts_with('?') {
        return Err(wrong("names no database", "put its name behind the host: \"postgres://host/name\""));
    }
    Ok(())
}

/// One entry of `allow_sql`.
pub(in crate::config) fn sql_grant(text: &str) -> Result<SqlGrant, Wrong> {
    let (database, write) = match text.split_once(':') {
        None => (text, false),
        Some((database, "write")) => (database, true),
        Some(_) => {
            return Err(wrong("grants something unknown", "write \"NAME\" to read, or \"NAME:write\" to change too"));
        }
    };
    check_name(database)?;
    Ok(SqlGrant { database: database.to_owned(), write })
}
