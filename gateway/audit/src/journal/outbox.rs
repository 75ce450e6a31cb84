use std::collections::{HashMap, VecDeque};

use model::NodeId;

/// How many rows are remembered.
pub(super) const ROWS: usize = 4_096;

/// Which rows of the outbox the journal's tail has.
#[derive(Default)]
pub(super) struct Memory {
    places: HashMap<(NodeId, i64), u64>,
    order: VecDeque<(NodeId, i64)>,
}

impl Memory {
    pub(super) fn place(&self, node: &NodeId, id: i64) -> Option<u64> {
        self.places.get(&(node.clone(), id)).copied()
    }

    pub(super) fn remember(&mut self, node: NodeId, id: i64, seq: u64) {
        if self.places.insert((node.clone(), id), seq).is_none() {
            self.order.push_back((node, id));
        }
        if self.order.len() > ROWS
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
    }
}

impl FromIterator<(NodeId, i64, u64)> for Memory {
    fn from_iter<I: IntoIterator<Item = (NodeId, i64, u64)>>(rows: I) -> Self {
        let mut memory = Self::default();
        rows.into_iter().for_each(|(node, id, seq)| memory.remember(node, id, seq));
        memory
    }
}
