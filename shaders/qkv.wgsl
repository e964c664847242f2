// qkv: RMSNorm, the query, key and value projections as one matrix, RoPE, and the write of keys
// and values to the KV cache.
// A thread owns elements i and i + HEAD_DIM / 2 of a head, which RoPE rotates together.
// Grid: (pairs of weight rows, tiles of batch rows).

// Cosine and sine of [position, element].
@group(0) @binding(5) var<storage, read> rope: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> q: array<f32>;
@group(0) @binding(7) var<storage, read_write> keys: array<f32>;
@group(0) @binding(8) var<storage, read_write> values: array<f32>;

const HALF = HEAD_DIM / 2u;

@compute @workgroup_size(64)
fn qkv(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    if (id.x >= WEIGHT_ROWS / 2u || batch.active_count == 0u) {
        return;
    }
    let head = id.x / HALF;
    let element = id.x % HALF;
    let weight_row = head * HEAD_DIM + element;
    let first = group.y * TILE;
    let products = multiply(weight_row, weight_row + HALF, first);

    for (var t = 0u; t < TILE; t++) {
        let row = first + t;
        if (!is_computed(row)) {
            continue;
        }
        let position = batch.rows[row].position;
        let slot = slot_address(batch.rows[row].lane, position) * 4u;
        let turn = rope[position * HALF + element];
        let a = tile_element(products.a, t);
        let b = tile_element(products.b, t);
        let rotated = vec2(a * turn.x - b * turn.y, b * turn.x + a * turn.y);
        if (head < N_HEADS) {
            let at = row * N_HEADS * HEAD_DIM + weight_row;
            q[at] = rotated.x;
            q[at + HALF] = rotated.y;
        } else if (head < N_HEADS + N_KV_HEADS) {
            let at = slot + (head - N_HEADS) * HEAD_DIM + element;
            keys[at] = rotated.x;
            keys[at + HALF] = rotated.y;
        } else {
            let at = slot + (head - N_HEADS - N_KV_HEADS) * HEAD_DIM + element;
            values[at] = a;
            values[at + HALF] = b;
        }
    }
}
