use super::*;

#[test]
fn every_program_fails_over_when_told() {
    for program in Program::ALL {
        if program.found().is_none() {
            continue;
        }
        let sentinels = Sentinels::of_program(program);
        let first = sentinels.master().port();
        sentinels.master().push("jobs", ["one"]);
        sentinels.failover();
        assert_ne!(sentinels.master().port(), first, "{program:?}");
        assert_eq!(sentinels.master().len("jobs"), 1, "{program:?}");
    }
}

#[test]
fn the_address_names_every_sentinel_and_the_master() {
    let sentinels = Sentinels::start();
    let url = sentinels.url();
    assert!(url.starts_with("redis+sentinel://127.0.0.1:") && url.ends_with("/mymaster"), "{url}");
    assert_eq!(url.matches(',').count(), 2);
    assert_ne!(sentinels.master().port(), sentinels.replica().port());
}

#[test]
fn the_replica_takes_the_place_of_a_killed_master_which_then_follows() {
    let mut sentinels = Sentinels::start();
    let first = sentinels.master().port();
    sentinels.master().push("jobs", ["one"]);
    assert_eq!(sentinels.master().ask::<usize>(&["WAIT", "1", "5000"]), 1);
    sentinels.kill_master();
    sentinels.wait_other(first);
    assert_eq!(sentinels.master().len("jobs"), 1);
    sentinels.restart_killed();
    sentinels.wait_whole();
    assert_eq!(sentinels.replica().port(), first);
}

#[test]
fn a_frozen_master_is_replaced_and_thaws_as_a_replica() {
    let sentinels = Sentinels::start();
    let first = sentinels.freeze_master().port();
    sentinels.wait_other(first);
    sentinels.thaw();
    sentinels.wait_whole();
    assert_eq!(sentinels.replica().port(), first);
}
