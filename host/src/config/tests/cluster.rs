//! What is said about keys where Redis is a Cluster.

use super::*;

/// The only fault of a pipeline on a Cluster: its line and column, and what it says.
fn fault(lines: &str) -> (Option<(usize, usize)>, String) {
    let (place, message, _) = only_fault(&on_cluster(lines));
    (place, message)
}

fn on_cluster(lines: &str) -> String {
    format!("redis = \"redis+cluster://a:7000\"\n[pipeline.p]\npublish = [\"o\"]\n{lines}\n")
}

fn is_fine(lines: &str) {
    assert_eq!(warned(&on_cluster(lines)), [""; 0], "{lines}");
}

#[test]
fn the_lists_of_one_source_lie_in_one_slot() {
    let expected = "the lists of one source lie in different slots of the Cluster".to_owned();
    assert_eq!(fault("from = { list = [\"a\", \"b\"] }"), (Some((4, 17)), expected.clone()));
    assert_eq!(fault("from = { list = [\"{a}x\", \"{a}y\", \"{b}\"] }"), (Some((4, 17)), expected));
    is_fine("from = { list = \"a\" }");
    is_fine("from = { list = [\"{a}x\", \"a\", \"y{a}{b}\"] }");
    good("[pipeline.p]\nfrom = { list = [\"a\", \"b\"] }\n");
}

#[test]
fn resque_and_thoonk_need_a_part_in_braces() {
    let resque = "on a Cluster, the `namespace` of Resque needs a part in braces".to_owned();
    assert_eq!(fault("from = { resque = \"q\" }"), (Some((4, 8)), resque.clone()));
    assert_eq!(fault("from = { resque = \"q\", namespace = \"app{}\" }"), (Some((4, 36)), resque));
    let thoonk = "on a Cluster, the name of a Thoonk feed needs a part in braces".to_owned();
    assert_eq!(fault("from = { thoonk = \"jobs\" }"), (Some((4, 19)), thoonk));
    is_fine("from = { resque = [\"a\", \"b\"], namespace = \"{app}\" }");
    is_fine("from = { thoonk = \"{jobs}\" }");
}

#[test]
fn dead_letters_lie_beside_their_source() {
    let expected = (Some((5, 16)), "`dead_letters` lies in another slot of the Cluster than its source".to_owned());
    for (from, beside) in [
        ("{ list = [\"jobs\", \"{jobs}2\"] }", "dead:{jobs}"),
        ("{ stream = \"jobs\" }", "{jobs}"),
        ("{ resque = \"q\", namespace = \"my{app}\" }", "dead{app}"),
        ("{ thoonk = \"{feed}\" }", "{feed}:dead"),
    ] {
        assert_eq!(fault(&format!("from = {from}\ndead_letters = \"dead\"")), expected, "{from}");
        is_fine(&format!("from = {from}\ndead_letters = \"{beside}\""));
        is_fine(&format!("from = {from}"));
    }
}

#[test]
fn streams_and_channels_may_have_any_name() {
    for from in ["stream = \"s\"", "channel = [\"a\", \"b\"]", "pattern = \"*\"", "shard_channel = \"a\""] {
        is_fine(&format!("from = {{ {from} }}"));
    }
}
