//! How fast a pipeline may be, and what is said of rates that make no sense.

use super::*;

fn rate(lines: &str) -> Option<Rate> {
    pipeline(&format!("from.list = \"q\"\n{lines}")).rate
}

#[test]
fn a_rate_has_a_unit_and_the_rest_follows_from_it() {
    let expected = Rate { per_second: 500.0, burst: 50, ramp: Duration::ZERO, scope: Scope::Node };
    assert_eq!(rate("rate = \"500/s\""), Some(expected));
    assert_eq!(rate("rate = \"30/min\"").map(|rate| (rate.per_second, rate.burst)), Some((0.5, 1)));
    assert_eq!(rate("rate = \"7200/h\"").map(|rate| (rate.per_second, rate.burst)), Some((2.0, 1)));
    assert_eq!(rate("rate = \"0.25/s\"").map(|rate| rate.per_second), Some(0.25));
    assert_eq!(rate("rate = \"unlimited\""), None);
    let all = "rate = \"10/s\"\nburst = 25\nrate_scope = \"cluster\"\nramp = \"1m\"";
    let expected = Rate { per_second: 10.0, burst: 25, ramp: Duration::from_secs(60), scope: Scope::Cluster };
    assert_eq!(rate(all), Some(expected));
}

#[test]
fn a_rate_that_makes_no_sense_is_refused() {
    let help = "write how many in which time: \"500/s\", \"30/min\" or \"10000/h\", or \"unlimited\"";
    for (value, what) in [
        ("500", "does not say in which time"),
        ("500/", "does not say in which time"),
        ("500/m", "does not say in which time"),
        ("500/d", "does not say in which time"),
        ("/s", "is not a rate"),
        ("./s", "is not a rate"),
        ("-5/s", "is not a rate"),
        ("5e3/s", "is not a rate"),
        ("inf/s", "is not a rate"),
        ("nan/s", "is not a rate"),
        ("1.2.3/s", "is not a rate"),
        (" 5/s", "is not a rate"),
        ("fast", "does not say in which time"),
        ("", "does not say in which time"),
    ] {
        let fault = only_fault(&format!("[pipeline.p]\nfrom.list = \"q\"\npublish = [\"o\"]\nrate = \"{value}\"\n"));
        assert_eq!(fault, (Some((4, 8)), format!("`rate` {what}"), help.to_owned()), "{value}");
    }
    for value in ["0/s", "0.5/h", "1000001/s"] {
        assert_eq!(pipeline_refused(&format!("rate = \"{value}\"")), ["`rate` is out of range"], "{value}");
    }
    assert_eq!(pipeline_refused("rate = 500"), ["`rate` is a whole number, not a string"]);
}

#[test]
fn what_stands_beside_a_rate_is_looked_at_too() {
    assert_eq!(pipeline_refused("rate = \"1/s\"\nburst = 0"), ["`burst` is out of range"]);
    assert_eq!(pipeline_refused("rate = \"1/s\"\nburst = 1000001"), ["`burst` is out of range"]);
    assert_eq!(pipeline_refused("rate = \"1/s\"\nburst = \"big\""), ["`burst` is a string, not a whole number"]);
    let scope = "`rate_scope` is neither \"node\" nor \"cluster\"";
    assert_eq!(pipeline_refused("rate = \"1/s\"\nrate_scope = \"nodes\""), [scope]);
    assert_eq!(pipeline_refused("rate = \"1/s\"\nramp = 60"), ["`ramp` has no unit"]);
    assert_eq!(pipeline_refused("rate = \"1/s\"\nramp = \"366d\""), ["`ramp` is out of range"]);
}

#[test]
fn without_a_rate_nothing_beside_it_has_an_effect() {
    for (key, line) in [("burst", "burst = 5"), ("rate_scope", "rate_scope = \"cluster\""), ("ramp", "ramp = \"1s\"")] {
        let odd = warned(&format!("[pipeline.p]\nfrom.list = \"q\"\npublish = [\"o\"]\n{line}\n"));
        assert_eq!(odd, [format!("`{key}` has no effect without `rate`")]);
        let paced = format!("[pipeline.p]\nfrom.channel = \"q\"\npublish = [\"o\"]\nrate = \"5/s\"\n{line}\n");
        assert_eq!(warned(&paced), [""; 0]);
    }
}
