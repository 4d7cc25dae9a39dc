//! A Redis Cluster on loopback: three masters, with a replica each where wanted, whose slots can move while it is used.

mod moving;
mod view;

use crate::{Redis, eventually, redis::Program};
pub use moving::Move;
use std::time::Duration;
use view::View;

const SOON: Duration = Duration::from_secs(60);
const MASTERS: usize = 3;
const SLOTS: u16 = 16_384;
/// How long a member may be silent before the others give it up, in milliseconds.
const NODE_TIMEOUT: &str = "2000";

/// The members, numbered from 0: three masters, then the replicas of the first, second and third where there are any.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Redis>,
    ids: Vec<String>,
}

impl Cluster {
    /// Three masters with a third of the slots each.
    pub fn start() -> Self {
        Self::of(Program::default(), MASTERS)
    }

    /// Three masters and a replica for each.
    pub fn with_replicas() -> Self {
        Self::of(Program::default(), 2 * MASTERS)
    }

    /// Three masters of this program.
    pub fn of_program(program: Program) -> Self {
        Self::of(program, MASTERS)
    }

    fn of(program: Program, size: usize) -> Self {
        let members: Vec<Redis> = (0..size).map(|_| member(program)).collect();
        let ids = members.iter().map(|member| member.ask(&["CLUSTER", "MYID"])).collect();
        let cluster = Self { members, ids };
        cluster.meet();
        cluster.share_slots();
        cluster.replicate();
        cluster.wait_ok();
        cluster
    }

    /// `redis+cluster://127.0.0.1:PORT,…`, naming every member.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.members.iter().map(|member| format!("127.0.0.1:{}", member.port())).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// The member of this number.
    pub fn member(&self, number: usize) -> &Redis {
        &self.members[number]
    }

    /// The slot of `key`.
    pub fn slot(&self, key: &str) -> u16 {
        self.living().ask(&["CLUSTER", "KEYSLOT", key])
    }

    /// The number of the master that has `slot`, as the first member that is up sees it.
    ///
    /// # Panics
    /// When nobody has it.
    #[track_caller]
    pub fn owner(&self, slot: u16) -> usize {
        let id = View::of(self.living()).owner(slot).unwrap_or_else(|| panic!("nobody has the slot {slot}"));
        self.number(&id)
    }

    /// The master that has `key`.
    #[track_caller]
    pub fn at(&self, key: &str) -> &Redis {
        self.member(self.owner(self.slot(key)))
    }

    /// The number of the replica of the master `number`.
    ///
    /// # Panics
    /// When it has none within a minute.
    #[track_caller]
    pub fn replica_of(&self, number: usize) -> usize {
        let replica = || View::of(self.member(number)).replica_of(&self.ids[number]);
        self.number(&eventually(SOON, &format!("the master {number} has a replica"), replica))
    }

    /// Waits until all members that are up agree that they are, that every slot is served, and by whom; and until the
    /// replicas follow.
    ///
    /// # Panics
    /// When they do not within a minute.
    #[track_caller]
    pub fn wait_ok(&self) {
        eventually(SOON, "the cluster is whole", || self.is_ok().then_some(()));
    }

    /// Waits until the members that are up say that slots are missing.
    ///
    /// # Panics
    /// When they do not within a minute.
    #[track_caller]
    pub fn wait_down(&self) {
        let down = |member: &Redis| state(member) == "fail";
        eventually(SOON, "the cluster is down", || self.up().all(down).then_some(()));
    }

    /// Ends a member as a power cut would.
    pub fn kill(&mut self, number: usize) {
        self.members[number].kill9();
    }

    /// Starts a member again, with the slots and the keys that it had.
    pub fn restart(&mut self, number: usize) {
        self.members[number].restart();
    }

    /// Freezes a member.
    pub fn freeze(&self, number: usize) {
        self.members[number].sigstop();
    }

    /// Ends the freeze of a member.
    pub fn thaw(&self, number: usize) {
        self.members[number].sigcont();
    }

    /// Makes the replica of the master `number` take its place in peace, and waits for that; returns the new master.
    #[track_caller]
    pub fn fail_over(&self, number: usize) -> usize {
        let replica = self.replica_of(number);
        self.member(replica).ask::<()>(&["CLUSTER", "FAILOVER"]);
        let is_master = || View::of(self.member(replica)).is_master(&self.ids[replica]);
        eventually(SOON, "the replica is master", || is_master().then_some(()));
        self.wait_ok();
        replica
    }

    /// Moves `slot` with all of its keys to the member `to`.
    #[track_caller]
    pub fn move_slot(&self, slot: u16, to: usize) {
        let mut moving = self.begin_move(slot, to);
        while moving.step(100) > 0 {}
        moving.finish();
    }

    /// Begins to move `slot` to the member `to`: until `finish`, keys are where they were until a step moves them.
    #[track_caller]
    pub fn begin_move(&self, slot: u16, to: usize) -> Move<'_> {
        Move::begin(self, slot, to)
    }

    /// The length of `list`, wherever it is.
    #[track_caller]
    pub fn len(&self, list: &str) -> usize {
        self.at(list).len(list)
    }

    /// All keys of all masters that match `pattern`, sorted.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let view = View::of(self.living());
        let masters = self.members.iter().zip(&self.ids).filter(|(member, id)| member.is_up() && view.is_master(id));
        let mut keys: Vec<String> = masters.flat_map(|(member, _)| member.keys(pattern)).collect();
        keys.sort();
        keys
    }

    fn up(&self) -> impl Iterator<Item = &Redis> {
        self.members.iter().filter(|member| member.is_up())
    }

    #[track_caller]
    fn living(&self) -> &Redis {
        self.up().next().expect("a member is up")
    }

    fn number(&self, id: &str) -> usize {
        self.ids.iter().position(|known| known == id).expect("the members know only each other")
    }

    fn meet(&self) {
        for (epoch, member) in (1..).zip(&self.members) {
            // Equal epochs would have to be sorted out first.
            member.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &format!("{epoch}")]);
        }
        for member in &self.members[1..] {
            self.members[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &member.port().to_string()]);
        }
        let all = self.members.len();
        let met = |member: &Redis| View::of(member).count() == all;
        eventually(SOON, "the members have met", || self.members.iter().all(met).then_some(()));
    }

    fn share_slots(&self) {
        let share = SLOTS / 3 + 1;
        let slots: Vec<String> = (0..SLOTS).map(|slot| slot.to_string()).collect();
        for (member, slots) in self.members.iter().zip(slots.chunks(share.into())) {
            let words: Vec<&str> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            member.ask::<()>(&words);
        }
    }

    fn replicate(&self) {
        for (replica, id) in self.members[MASTERS..].iter().zip(&self.ids) {
            replica.ask::<()>(&["CLUSTER", "REPLICATE", id]);
        }
    }

    fn is_ok(&self) -> bool {
        let views: Vec<View> = self.up().map(View::of).collect();
        let up: Vec<&String> =
            self.members.iter().zip(&self.ids).filter(|(member, _)| member.is_up()).map(|(_, id)| id).collect();
        let agreed = views.windows(2).all(|pair| pair[0].owners() == pair[1].owners());
        let healthy = views.iter().all(|view| view.trusts(&up));
        agreed && healthy && self.up().all(|member| state(member) == "ok" && follows(member))
    }
}

fn member(program: Program) -> Redis {
    let arguments =
        ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT, "--repl-diskless-sync-delay", "0"];
    Redis::setup().program(program).tcp().durable().args(&arguments).start()
}

fn state(member: &Redis) -> String {
    let info: String = member.ask(&["CLUSTER", "INFO"]);
    let state = info.lines().find_map(|line| line.strip_prefix("cluster_state:"));
    state.expect("a member has a state").to_owned()
}

/// Whether this is a master, or a replica whose master sends it what is written.
fn follows(member: &Redis) -> bool {
    let info: String = member.ask(&["INFO", "replication"]);
    info.contains("role:master") || info.contains("master_link_status:up")
}

#[cfg(test)]
mod tests;
