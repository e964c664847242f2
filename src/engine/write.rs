//! How large a write to the cache was, beside what it was added to.

use super::inspect::changes_of;
use super::{Engine, Steered};
use crate::Result;
use serde::Serialize;

/// What one write to the cache changed: by layer, all KV heads together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlotWrite {
    /// The position that was written to.
    pub position: usize,
    /// The length of what was added to the values, in parts of the length of what was there.
    pub values: Vec<f32>,
    /// The same for the keys.
    pub keys: Vec<f32>,
}

impl Engine {
    /// What steering has changed in a lane, read from the slot and its former self; `None` where not
    /// exactly one position is steered.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) where there is no such lane, or as
    /// [`Backend::forward`](crate::backend::Backend::forward).
    pub async fn slot_write(&mut self, lane: usize) -> Result<Option<SlotWrite>> {
        let Steered::At(position) = self.lane(lane)?.steered else {
            return Ok(None);
        };
        let (aside, _) = self.set_aside(lane, position);
        let before = self.backend.read_slot(lane, aside.position).await?;
        let after = self.backend.read_slot(lane, position).await?;
        let width = self.model.config.kv_width();
        let changes = |before, after| changes_of(before, after, 1, width).concat();
        Ok(Some(SlotWrite {
            position,
            values: changes(&before.values, &after.values),
            keys: changes(&before.keys, &after.keys),
        }))
    }
}
