use super::*;

fn error_of(redis: &Redis, words: &[&str]) -> String {
    let mut command = ::redis::cmd(words[0]);
    let answer: ::redis::RedisResult<()> = command.arg(&words[1..]).query(&mut redis.connect());
    answer.unwrap_err().code().unwrap_or_default().to_owned()
}

#[test]
fn every_program_makes_a_cluster_of_three_that_share_all_slots() {
    for program in Program::ALL {
        if program.found().is_none() {
            continue;
        }
        let cluster = Cluster::of_program(program);
        let owners: Vec<usize> = [0, 5_461, 5_462, 16_383].map(|slot| cluster.owner(slot)).to_vec();
        assert_eq!(owners, [0, 0, 1, 2], "{program:?}");
        cluster.at("jobs").push("jobs", ["one"]);
        assert_eq!((cluster.len("jobs"), cluster.keys("*")), (1, vec!["jobs".to_owned()]));
        assert_eq!(cluster.url().matches("127.0.0.1:").count(), 3);
    }
}

#[test]
fn a_slot_moves_with_its_keys_step_by_step() {
    let cluster = Cluster::start();
    let slot = cluster.slot("{jobs}");
    let from = cluster.owner(slot);
    let to = (from + 1) % 3;
    for n in 0..5 {
        cluster.member(from).push(&format!("{{jobs}}:{n}"), ["one", "two"]);
    }
    let mut moving = cluster.begin_move(slot, to);
    assert_eq!(moving.step(2), 3);
    let moved: Vec<String> = cluster.member(to).keys("*");
    assert_eq!(error_of(cluster.member(from), &["LLEN", &moved[0]]), "ASK");
    assert_eq!(error_of(cluster.member(to), &["LLEN", &moved[0]]), "MOVED");
    while moving.step(2) > 0 {}
    moving.finish();
    assert_eq!(cluster.owner(slot), to);
    assert_eq!((cluster.member(from).keys("*").len(), cluster.len("{jobs}:4")), (0, 2));
    cluster.move_slot(slot, from);
    assert_eq!((cluster.owner(slot), cluster.member(from).keys("*").len()), (from, 5));
}

#[test]
fn a_killed_master_without_a_replica_takes_the_cluster_down_until_it_is_back() {
    let mut cluster = Cluster::start();
    let owner = cluster.owner(cluster.slot("jobs"));
    cluster.at("jobs").push("jobs", ["one"]);
    cluster.kill(owner);
    cluster.wait_down();
    assert_eq!(error_of(cluster.member((owner + 1) % 3), &["LLEN", "x"]), "CLUSTERDOWN");
    cluster.restart(owner);
    cluster.wait_ok();
    assert_eq!(cluster.len("jobs"), 1);
}

#[test]
fn a_replica_takes_the_place_of_a_killed_master_and_of_a_living_one() {
    let mut cluster = Cluster::with_replicas();
    let slot = cluster.slot("jobs");
    let master = cluster.owner(slot);
    assert_eq!(cluster.replica_of(master), master + 3);
    cluster.at("jobs").push("jobs", ["one"]);
    cluster.at("jobs").ask::<usize>(&["WAIT", "1", "5000"]);
    cluster.kill(master);
    eventually(SOON, "the replica is master", || (cluster.owner(slot) == master + 3).then_some(()));
    cluster.wait_ok();
    assert_eq!(cluster.len("jobs"), 1);
    cluster.restart(master);
    cluster.wait_ok();
    assert_eq!(cluster.fail_over(master + 3), master);
    assert_eq!((cluster.owner(slot), cluster.len("jobs")), (master, 1));
}
