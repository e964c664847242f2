// qkv: RMSNorm, the query, key and value projections as one matrix, their biases, RoPE, and the
// write of keys and values to the KV cache.
// A pair of weight rows is elements i and i + HEAD_DIM / 2 of a head, which RoPE rotates together.

// Cosine and sine of [position, element].
@group(0) @binding(5) var<storage, read> rope: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> q: array<f32>;
@group(0) @binding(7) var<storage, read_write> keys: array<Cached>;
@group(0) @binding(8) var<storage, read_write> values: array<Cached>;

const HALF = HEAD_DIM / 2u;
const PAIR_COUNT = WEIGHT_ROWS / 2u;

fn rows_of(pair: u32) -> vec2<u32> {
    let row = pair / HALF * HEAD_DIM + pair % HALF;
    return vec2(row, row + HALF);
}

// What is added to the product of a weight row, behind the norm's scales.
fn bias_of(row: u32) -> f32 {
    let at = WEIGHT_COLS + row;
    return norm[at / 4u][at % 4u];
}

fn store(pair: u32, row: u32, sums: vec2<f32>) {
    if (!is_computed(row)) {
        return;
    }
    var product = sums;
    if (HAS_BIASES) {
        let rows = rows_of(pair);
        product += vec2(bias_of(rows.x), bias_of(rows.y));
    }
    let head = pair / HALF;
    let element = pair % HALF;
    let position = batch.rows[row].position;
    let slot = slot_of(row, position) * SLOT_VEC4 * 4u + element;
    let turn = rope[position * HALF + element];
    let rotated = vec2(
        product.x * turn.x - product.y * turn.y,
        product.y * turn.x + product.x * turn.y,
    );
    if (head < N_HEADS) {
        let at = (row * N_HEADS + head) * HEAD_DIM + element;
        q[at] = rotated.x;
        q[at + HALF] = rotated.y;
    } else if (head < N_HEADS + N_KV_HEADS) {
        let at = slot + (head - N_HEADS) * HEAD_DIM;
        keys[at] = Cached(rotated.x);
        keys[at + HALF] = Cached(rotated.y);
    } else {
        let at = slot + (head - N_HEADS - N_KV_HEADS) * HEAD_DIM;
        values[at] = Cached(product.x);
        values[at + HALF] = Cached(product.y);
    }
}
