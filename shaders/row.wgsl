// A row of the batch: one token at one position of one lane. A row that is not active belongs to a
// lane that has its answer: it is computed no further than is convenient, and leaves no trace in
// the KV cache.

struct Row {
    token: u32,
    lane: u32,
    position: u32,
    is_active: u32,
}
