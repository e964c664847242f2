// The batch: which token each row is, and where in the KV cache it lives. Every stage sees it.
// MAX_ROWS is the largest batch; a pass over fewer rows leaves the rest as they were.

struct Batch {
    rows: array<Row, MAX_ROWS>,
    row_count: u32,
    active_count: u32,
    // From the first slot of a lane to that of the next: the cache can be cut anew.
    lane_slots: u32,
}

@group(0) @binding(0) var<uniform> batch: Batch;

// The slot of a position in the row's lane.
fn slot_of(row: u32, position: u32) -> u32 {
    return batch.rows[row].lane * batch.lane_slots + position;
}

// Whether a row is to be computed. Decode steps are submitted before it is known whether a lane
// has ended; what is left of them then costs next to nothing.
fn is_computed(row: u32) -> bool {
    return row < batch.row_count && batch.rows[row].is_active != 0u;
}
