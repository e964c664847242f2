// The batch: which token each row is, and where in the KV cache it lives. Every stage sees it.
// MAX_ROWS is the largest batch; a pass over fewer rows leaves the rest as they were.

struct Row {
    token: u32,
    lane: u32,
    position: u32,
    padding: u32,
}

struct Batch {
    rows: array<Row, MAX_ROWS>,
    count: vec4<u32>,
}

@group(0) @binding(0) var<uniform> batch: Batch;
