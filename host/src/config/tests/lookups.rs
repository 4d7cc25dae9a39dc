//! Stores and databases of plugins: how they are written, and every way to get that wrong.

use super::*;

fn plugin(lines: &str) -> Lookups {
    let loaded = good(&format!("{MINIMAL}[plugin.out]\n{lines}\n"));
    loaded.config.plugins.get("out").expect("is there").lookups.clone()
}

/// The database of this table, which a plugin may ask, in a file below `/etc`.
fn database(lines: &str) -> Database {
    let text = format!("{MINIMAL}[plugin.out]\nallow_sql = [\"shop\"]\n[database.shop]\n{lines}\n");
    let source = Source { path: PathBuf::from("/etc/gristmill.toml"), text };
    let loaded = parse(source, &environment).unwrap_or_else(|faults| panic!("{faults}"));
    loaded.config.databases.get("shop").expect("is there").clone()
}

#[test]
fn every_mistake_about_lookups_is_shown_at_its_place_with_what_to_write() {
    let faults = read(include_str!("../../../tests/config/lookups.toml")).expect_err("is full of faults");
    assert_eq!(faults.to_string() + "\n", include_str!("../../../tests/config/lookups.txt"));
}

#[test]
fn without_a_word_about_it_a_plugin_may_look_nothing_up() {
    let Lookups { store, sql, wait, .. } = plugin("");
    assert_eq!((store, sql.len(), wait), (Store::Nothing, 0, Duration::from_secs(1)));
}

#[test]
fn a_store_has_bounds_of_which_those_left_out_keep_their_defaults() {
    let kept = plugin("allow_store = \"memory\"\nstore = { keys = 7, longest = \"never\" }\nwait = \"250ms\"");
    assert_eq!((kept.store, kept.wait), (Store::Memory, Duration::from_millis(250)));
    assert_eq!(kept.bounds, StoreBounds { keys: 7, longest: None, ..plugin("").bounds });
    let redis = plugin("allow_store = \"redis\"\nstore = { total_kib = 2, value_kib = 1, longest = \"1h\" }");
    assert_eq!(redis.store, Store::Redis);
    let StoreBounds { bytes, value_bytes, longest, .. } = redis.bounds;
    assert_eq!((bytes, value_bytes, longest), (2048, 1024, Some(Duration::from_secs(3_600))));
}

#[test]
fn databases_are_granted_to_read_or_to_change_too() {
    let text = "allow_sql = [\"shop\", \"log:write\"]\n[database.shop]\nurl = \"sqlite:a\"\n[database.log]\nurl = \"sqlite:b\"";
    let grant = |database: &str, write| SqlGrant { database: database.to_owned(), write };
    assert_eq!(plugin(text).sql, [grant("shop", false), grant("log", true)]);
    assert!(grant("log", true).covers(&grant("log", false)) && !grant("log", false).covers(&grant("log", true)));
    assert!(!grant("log", true).covers(&grant("shop", false)));
}

#[test]
fn a_database_is_a_file_beside_the_configuration_or_a_server() {
    for (url, address) in [
        ("sqlite:shop.db", DatabaseAddress::Sqlite("/etc/shop.db".into())),
        ("sqlite://data/shop.db", DatabaseAddress::Sqlite("/etc/data/shop.db".into())),
        ("sqlite:/srv/shop.db", DatabaseAddress::Sqlite("/srv/shop.db".into())),
        ("postgres://h/shop", DatabaseAddress::Postgres("postgres://h/shop".to_owned())),
        ("postgresql:///shop?host=/run", DatabaseAddress::Postgres("postgresql:///shop?host=/run".to_owned())),
        ("mysql://u:p@h:1/shop", DatabaseAddress::MySql("mysql://u:p@h:1/shop".to_owned())),
        ("mariadb://h/shop", DatabaseAddress::MySql("mysql://h/shop".to_owned())),
    ] {
        assert_eq!(database(&format!("url = \"{url}\"")).address, address, "{url}");
    }
    let Database { connections, timeout, rows, answer_bytes, .. } = database("url = \"sqlite:a\"\nrows = 5");
    assert_eq!((connections, timeout, rows, answer_bytes), (20, Duration::from_secs(1), 5, 1 << 20));
}

#[test]
fn the_password_of_a_database_is_shown_nowhere() {
    let text = |url: &str| {
        format!(
            "redis = \"redis://:hunter2@h\"\n{MINIMAL}[plugin.out]\nallow_sql = [\"shop\"]\n[database.shop]\nurl = \"{url}\"\n"
        )
    };
    for url in ["postgres://app:hunter2@h/shop", "mysql://app:hunter2@h/shop", "mysql://app:${SECRET}@h/shop"] {
        let loaded = good(&text(url));
        let shown = format!("{}{:?}", effective(&loaded), loaded.config.databases);
        assert!(shown.contains("[database.shop]\nurl = \"") && shown.contains("://app:"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("s3cr3t"), "{shown}");
        let broken = read(&text(url).replace("/shop\"", "\"")).expect_err("it names no database").render(false);
        assert!(broken.contains("names no database") && !broken.contains("hunter2"), "{broken}");
    }
}

#[test]
fn a_database_that_nobody_may_ask_is_told() {
    let (place, message, advice) = only_fault(&format!("{MINIMAL}[database.shop]\nurl = \"sqlite:a\"\n"));
    assert_eq!((place, message.as_str()), (Some((4, 1)), "no plugin may ask [database.shop]"));
    assert_eq!(advice, "name it in `allow_sql` of a plugin, or leave the table out");
}
