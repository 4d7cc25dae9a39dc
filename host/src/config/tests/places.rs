//! How later checks point into the file.

use super::*;

const FILE: &str = "[pipeline.p]\nfrom = { list = \"q\" }\nfilters = [\"one\", \"two_x\"]\n\
                    publish = [\"out\"]\n[plugin.two-x]\nconfig = { a = 1 }\n\
                    [endpoint.\"A.b:80\"]\ntls = { ca = \"x\" }\n";

fn place(place: Place<'_>) -> Option<(usize, usize)> {
    let loaded = good(FILE);
    let faults = loaded.faults(vec![loaded.fault_at(place, Fault::error("here"))]);
    let fault = faults.iter().next().expect("one");
    faults.position(fault)
}

#[test]
fn later_checks_can_point_into_the_file() {
    assert_eq!(place(Place::Pipeline("p")), Some((1, 1)));
    assert_eq!(place(Place::PipelineKey("p", "from")), Some((2, 8)));
    assert_eq!(place(Place::Filter("p", 1)), Some((3, 19)));
    assert_eq!(place(Place::Publisher("p", 0)), Some((4, 12)));
    assert_eq!(place(Place::Plugin("two_x")), Some((5, 1)));
    assert_eq!(place(Place::PluginKey("two-x", "config")), Some((6, 10)));
    assert_eq!(place(Place::EndpointKey("a.b:80", "tls")), Some((8, 7)));
}

#[test]
fn where_there_is_nothing_to_point_at_the_nearest_thing_serves() {
    assert_eq!(place(Place::Key("redis")), None);
    assert_eq!(place(Place::PipelineKey("p", "retry")), Some((1, 1)));
    assert_eq!(place(Place::Filter("p", 7)), Some((3, 11)));
    assert_eq!(place(Place::Plugin("out")), Some((4, 12)));
    assert_eq!(place(Place::PluginKey("out", "config")), Some((4, 12)));
    assert_eq!(place(Place::PluginKey("two-x", "timeout")), Some((5, 1)));
    assert_eq!(place(Place::Plugin("nowhere")), None);
    assert_eq!(place(Place::EndpointKey("a.b:80", "proxy")), Some((7, 1)));
    assert_eq!(place(Place::EndpointKey("a.b", "tls")), None);
}

#[test]
fn a_fault_without_a_place_still_names_the_file() {
    let loaded = good(FILE);
    let fault = Fault::error("no connection").help("start Redis");
    let faults = loaded.faults(vec![loaded.fault_at(Place::Key("redis"), fault)]);
    let expected = "error: no connection\n--> gristmill.toml\n = help: start Redis";
    assert_eq!(faults.to_string(), expected);
}
