//! A lane that somebody has taken items out of.

use super::{
    Lane,
    register::{Marks, Register},
    settlement::{Settlement, Step},
};

impl Lane {
    /// Items of the lane are gone that we have not settled, so what is left lies in places that nobody knows. All that is known
    /// and has no outcome is put aside, and what is left becomes a lane of its own, which nobody cares for and which is found.
    /// Returns what is to be carried out in place of `refused`.
    pub(super) fn rescue(&self, refused: Settlement) -> Settlement {
        let mut state = self.state();
        let mut steps = refused.steps;
        let last = refused.last.into_iter().map(|last| last.put_aside(&mut steps)).collect();
        for batch in state.batches.drain(..) {
            steps.extend(batch.entries.iter().filter(|entry| entry.park()).map(Step::park));
        }
        state.register.head = state.tail;
        state.register.done = Marks::default();
        let after = state.register.to_string();
        drop(state);
        let shared = &self.shared;
        let (lanes, left) = (shared.keys.lanes(), shared.new_lane(self.content));
        let key = self.key.as_bytes();
        let moved = vec![
            Step::call([b"RENAME", key, left.as_bytes()]),
            Step::call([b"HSET", lanes.as_bytes(), left.as_bytes(), Register::fresh(0).to_string().as_bytes()]),
        ];
        steps.push(Step::only([b"EXISTS", key], moved));
        Settlement { after, trim: 0, least: 0, steps, last, ..refused }
    }
}
