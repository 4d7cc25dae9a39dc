//! How the node gets at Redis: addresses, TLS, Sentinels, and what is never shown of them.

use super::*;

#[test]
fn addresses_of_every_kind_are_taken_as_they_are() {
    for url in [
        "rediss://me:secret@host:6380/2",
        "redis+cluster://a:7000,b:7001",
        "rediss+cluster://a:7000",
        "redis+sentinel://me:secret@a:26379,b:26379/mymaster/3",
        "rediss+sentinel://a/m",
    ] {
        assert_eq!(good(&format!("redis = \"{url}\"")).config.redis, Redis::Url(url.to_owned()));
    }
}

#[test]
fn a_cluster_has_no_databases() {
    let (place, message, help) = only_fault("redis = \"redis+cluster://a:7000/2\"\n");
    assert_eq!(place, Some((1, 9)));
    assert_eq!(message, "`redis` names a database, of which a Cluster has only 0");
    assert_eq!(help, "leave out what follows the last slash");
}

#[test]
fn files_for_tls_are_relative_to_the_file() {
    let source = Source {
        path: PathBuf::from("/etc/gristmill/gristmill.toml"),
        text:
            "redis = \"rediss://host\"\n[tls]\nca = \"ca.pem\"\ncert = \"/run/cert.pem\"\nkey = \"${NONE:-key.pem}\"\n"
                .to_owned(),
    };
    let tls = parse(source, &environment).expect("loads").config.tls;
    let expected = ["/etc/gristmill/ca.pem", "/run/cert.pem", "/etc/gristmill/key.pem"];
    assert_eq!([tls.ca, tls.cert, tls.key], expected.map(|path| Some(PathBuf::from(path))));
    let none = good("redis = \"rediss://host\"\ntls = { ca = \"${EMPTY}\", cert = \"\", key = \"\" }").config.tls;
    assert_eq!(none, Tls::default());
}

#[test]
fn a_certificate_and_its_key_come_together() {
    let text = "redis = \"rediss://host\"\n[tls]\ncert = \"c\"\n[pipeline.p]\nfrom.list = \"q\"\npublish = [\"o\"]\n";
    let (place, message, help) = only_fault(text);
    assert_eq!((place, message.as_str()), (Some((3, 8)), "`cert` stands in [tls] without `key`"));
    assert_eq!(help, "set `key` too, or leave both out");
    assert_eq!(refused("redis = \"rediss://host\"\ntls.key = \"k\""), ["`key` stands in [tls] without `cert`"]);
    assert_eq!(refused("tls.crt = \"k\""), ["unknown key `crt` in `tls`"]);
}

#[test]
fn tls_and_sentinel_keys_without_effect_are_told() {
    let told = |text: &str| warned(&format!("{text}\n{MINIMAL}"));
    let tls = "[tls] has no effect, because `redis` does not ask for TLS";
    assert_eq!(told("tls = { ca = \"ca.pem\" }"), [tls]);
    assert_eq!(told("redis = \"embedded\"\ntls = { ca = \"ca.pem\" }"), [tls]);
    assert_eq!(told("redis = \"rediss+cluster://a\"\ntls = { ca = \"ca.pem\" }"), [""; 0]);
    let sentinel =
        ["user", "password"].map(|key| format!("`sentinel_{key}` has no effect, because `redis` names no Sentinels"));
    assert_eq!(told("sentinel_user = \"u\"\nsentinel_password = \"p\""), sentinel);
    assert_eq!(told("redis = \"redis+sentinel://a/m\"\nsentinel_user = \"u\"\nsentinel_password = \"p\""), [""; 0]);
    assert_eq!(told("sentinel_user = \"\"\nsentinel_password = \"\"\ntls = {}"), [""; 0]);
    assert_eq!(
        refused("redis = 7\ntls.ca = \"ca\"\nsentinel_password = \"p\""),
        ["`redis` is a whole number, not a string"]
    );
}

#[test]
fn the_login_at_sentinels_is_read() {
    let config =
        good("redis = \"redis+sentinel://a/m\"\nsentinel_user = \"u\"\nsentinel_password = \"${SECRET}\"").config;
    assert_eq!(
        (config.sentinel_user.as_deref(), config.sentinel_password.as_deref()),
        (Some("u"), Some("s3cr3t\" = ["))
    );
    let alone = refused("redis = \"redis+sentinel://a/m\"\nsentinel_user = \"u\"");
    assert_eq!(alone, ["`sentinel_user` has no password"]);
}

#[test]
fn a_password_is_not_shown_in_any_form_of_address() {
    for (address, shown) in [
        ("redis://me:hünter2@localhost:0", "redis://me:********@localhost:0"),
        ("redis://:p/ss@wörd@localhost:0", "redis://:**********@localhost:0"),
        ("redis://me:it's mine@localhost:0", "redis://me:*********@localhost:0"),
        ("redis://me:${SECRET}@localhost:0", "redis://me:${SECRET}@localhost:0"),
        ("redis+cluster://me:hunter2@a:0,b:1", "redis+cluster://me:*******@a:0,b:1"),
        ("rediss+sentinel://me:hunter2@a:1,b:1", "rediss+sentinel://me:*******@a:1,b:1"),
        ("unix://r.sock?pass=hunter2", "unix://r.sock?pass=*******"),
    ] {
        let faults = read(&format!("redis = \"{address}\"")).expect_err(address);
        assert!(faults.to_string().contains(&format!("\"{shown}\"")), "{faults}");
    }
}

#[test]
fn the_password_for_sentinels_is_not_shown() {
    for line in [
        "sentinel_password = \"hunter2\"",
        "sentinel_password = 'hunter2'",
        "\"sentinel_password\" = \"\"\"hunter2\"\"\"",
        "sentinel_pasword = \"hunter2\"",
        "sentinel_password = [\"hunter2\"]",
        "sentinel_password = hunter2",
        "sentinel_password = \"hunter2",
    ] {
        let faults = match read(line) {
            Ok(loaded) => loaded.warnings,
            Err(faults) => faults,
        };
        assert!(faults.iter().next().is_some());
        let said = format!("{faults}{faults:?}{}", faults.render(true));
        assert!(said.contains("sentinel_pas") && !said.contains("hunter2"), "{said}");
    }
}
