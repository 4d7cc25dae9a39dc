//! What a plugin is allowed beside hosts, and its secrets.

use super::*;

/// The plugin whose table has `lines`, in a file below `/etc`.
fn plugin(lines: &str) -> Plugin {
    let text = format!("{MINIMAL}[plugin.out]\n{lines}\n");
    let source = Source { path: PathBuf::from("/etc/gristmill.toml"), text };
    let loaded = parse(source, &environment).unwrap_or_else(|faults| panic!("{faults}"));
    loaded.config.plugins.get("out").expect("is there").clone()
}

fn plugin_refused(lines: &str) -> Vec<String> {
    refused(&format!("{MINIMAL}[plugin.out]\n{lines}\n"))
}

#[test]
fn directories_lie_beside_the_file_and_may_be_read_only() {
    let dirs = plugin("allow_dirs = { out = \"spool\", \"/in\" = \"/srv/data:ro\" }").allow_dirs;
    let grant = |host: &str, access| DirGrant { host: host.into(), access };
    assert_eq!(dirs.get("out"), Some(&grant("/etc/spool", DirAccess::Write)));
    assert_eq!(dirs.get("/in"), Some(&grant("/srv/data", DirAccess::Read)));
    assert_eq!(dirs.len(), 2);
}

#[test]
fn no_plugin_writes_what_the_node_trusts() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().canonicalize().expect("it is there");
    for name in ["spool", "plugins", "state/cache"] {
        std::fs::create_dir_all(home.join(name)).expect("a directory");
    }
    std::os::unix::fs::symlink("plugins", home.join("spool/link")).expect("a link");
    std::os::unix::fs::symlink(home.join("state"), home.join("link")).expect("a link");
    let read = |grant: &str| {
        let text = format!("data_dir = \"state\"\n{MINIMAL}[plugin.out]\nallow_dirs = {{ a = \"{grant}\" }}\n");
        let source = Source { path: home.join("gristmill.toml"), text };
        parse(source, &environment).map_err(|faults| messages(&faults).concat())
    };
    let above = home.parent().expect("it lies somewhere").display().to_string();
    for (grant, what) in [
        (".", "this very file"),
        ("spool/..", "this very file"),
        (above.as_str(), "this very file"),
        ("/", "this very file"),
        ("plugins", "`plugins_dir`"),
        ("plugins/new", "`plugins_dir`"),
        ("state", "`data_dir`"),
        ("state/cache", "`data_dir`"),
        ("link/cache", "`data_dir`"),
    ] {
        let expected = format!("this lets a plugin change {what}, and with it what plugins may do");
        assert_eq!(read(grant).expect_err(grant), expected, "{grant}");
        assert!(read(&format!("{grant}:ro")).is_ok(), "{grant}");
    }
    for grant in ["spool", "spool/new", "elsewhere", "/tmp/elsewhere"] {
        assert!(read(grant).is_ok(), "{grant}");
    }
}

#[test]
fn variables_clock_and_chance_are_allowed_by_name() {
    let plugin = plugin("allow_env = [\"LANG\"]\nallow = [\"random\", \"clock\", \"clock\"]");
    assert_eq!(plugin.allow_env, ["LANG"]);
    assert_eq!(plugin.allow, BTreeSet::from([Ambient::Clock, Ambient::Random]));
}

#[test]
fn what_cannot_be_granted_is_refused() {
    assert_eq!(plugin_refused("allow = [\"sockets\"]"), ["`allow` is neither \"clock\" nor \"random\""]);
    assert_eq!(plugin_refused("allow_dirs = { \"..\" = \"x\" }"), ["`..` leads upwards"]);
    assert_eq!(plugin_refused("allow_dirs = { x = \":ro\" }"), ["`x` names no directory"]);
    assert_eq!(plugin_refused("allow_dirs = [\"x\"]"), ["`allow_dirs` is a list, not a table"]);
    assert_eq!(plugin_refused("allow_env = [\"*\"]"), ["`allow_env` holds what is no name of a variable"]);
    assert_eq!(plugin_refused("secrets = { a = \"\" }"), ["`a` is empty"]);
    assert_eq!(plugin_refused("secrets = { \"a b\" = \"c\" }"), ["`a b` is no name for a secret"]);
}

#[test]
fn a_plugins_config_holds_a_stand_in_for_each_secret() {
    let plugin = plugin(
        "secrets = { token = \"${SECRET}\" }\nconfig = { header = \"Bearer ${secret:token}\", queue = \"${QUEUE}\" }",
    );
    let stand_in = plugin.secrets.stand_in("token").expect("is there").to_owned();
    assert_eq!(plugin.config, json!({ "header": format!("Bearer {stand_in}"), "queue": "s3cr3t-queue" }));
    assert_eq!(plugin.secrets.reveal(&stand_in).as_deref(), environment("SECRET").as_deref());
    let shown = format!("{plugin:?}");
    assert!(!shown.contains("= ["), "{shown}");
}

#[test]
fn secrets_are_known_by_name_in_their_own_plugin_and_nowhere_else() {
    let missing = ["there is no secret `token` here"];
    assert_eq!(plugin_refused("config = { a = \"${secret:token}\" }"), missing);
    assert_eq!(
        plugin_refused(
            "secrets = { token = \"x\" }\nconfig = { a = \"${secret:token}\" }\nallow_http = [\"${secret:token}\"]"
        ),
        missing
    );
    assert_eq!(refused("redis = \"${secret:token}\""), missing);
    let other = format!(
        "{MINIMAL}[plugin.out]\nsecrets = {{ token = \"x\" }}\nconfig = {{ a = \"${{secret:token}}\" }}\n[plugin.b]\nconfig = {{ a = \"${{secret:token}}\" }}\n"
    );
    assert_eq!(refused(&other), ["no pipeline uses [plugin.b]", missing[0]]);
    let defaulted = plugin_refused("secrets = { token = \"x\" }\nconfig = { a = \"${secret:token:-y}\" }");
    assert_eq!(defaulted, ["this `${…}` holds no name of a variable"]);
}

#[test]
fn no_variable_passes_for_a_secret() {
    let text = format!("{MINIMAL}[plugin.out]\nconfig = {{ a = \"${{secret:token}}\" }}\n");
    let source = Source { path: PathBuf::from("gristmill.toml"), text };
    assert!(parse(source, &|_| Some("planted".to_owned())).is_err());
}

#[test]
fn a_secret_that_nothing_uses_is_told() {
    let (place, message, advice) =
        only_fault(&format!("{MINIMAL}[plugin.out]\nsecrets = {{ token = \"${{SECRET}}\" }}\n"));
    assert_eq!((place, message.as_str()), (Some((5, 13)), "the secret `token` is nowhere in `config`"));
    assert_eq!(advice, "write `${secret:token}` where it belongs, or leave it out");
}

#[test]
fn the_file_in_full_shows_no_secret() {
    let text = format!(
        "{MINIMAL}[plugin.out]\nconfig = {{ a = \"${{secret:one}}${{secret:two}}\" }}\nsecrets = {{ one = \"${{SECRET}}\", two = \"hunter2\" }}\n"
    );
    let written = effective(&good(&text));
    assert!(written.contains("secrets = { one = \"${SECRET}\", two = \"…\" }"), "{written}");
    let faults = read(&text.replace("[plugin.out]", "[plugin.out]\nx = 1")).expect_err("a stranger").render(false);
    assert!(!format!("{faults}{written}").contains("hunter2"), "{faults}");
}

#[test]
fn a_host_is_shown_as_it_is_written() {
    for text in ["a.org", "*.a.org:80", "*", "10.0.0.7:81", "[::1]:80", "[::1]"] {
        assert_eq!(HttpGrant::parse(text).map(|grant| grant.to_string()).as_deref(), Some(text));
    }
}

#[test]
fn a_grant_covers_what_it_names_and_nothing_else() {
    let grant = |text: &str| notation::http_grant(text).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    for (granted, wanted) in [
        ("a.org", "a.org"),
        ("a.org", "a.org:80"),
        ("*.a.org", "x.a.org"),
        ("*.a.org", "*.x.a.org"),
        ("*", "*.a.org:80"),
        ("10.0.0.7", "10.0.0.7:80"),
    ] {
        assert!(grant(granted).covers(&grant(wanted)), "{granted} covers {wanted}");
    }
    for (granted, wanted) in [
        ("a.org:80", "a.org"),
        ("a.org:80", "a.org:81"),
        ("*.a.org", "a.org"),
        ("*.a.org", "xa.org"),
        ("a.org", "*.a.org"),
        ("*", "10.0.0.7"),
        ("*", "localhost"),
    ] {
        assert!(!grant(granted).covers(&grant(wanted)), "{granted} does not cover {wanted}");
    }
}
