// head: RMSNorm and the logits of every token of the vocabulary, or of the part that is bound.

@group(0) @binding(5) var<storage, read_write> logits: array<f32>;

const PAIR_COUNT = (WEIGHT_ROWS + 1u) / 2u;

// An odd vocabulary has no partner for its last row, which is then taken twice.
fn rows_of(pair: u32) -> vec2<u32> {
    return vec2(pair, min(pair + PAIR_COUNT, WEIGHT_ROWS - 1u));
}

fn store(pair: u32, row: u32, product: vec2<f32>) {
    let at = row * VOCAB_SIZE + FIRST_ROW;
    let rows = rows_of(pair);
    logits[at + rows.x] = product.x;
    logits[at + rows.y] = product.y;
}
