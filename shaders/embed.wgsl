// embed: the token's row of the embedding becomes the row's residual stream.
// Grid: (blocks of 32 values, rows).

@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let k = id.x;
    let row = id.y;
    if (k >= WEIGHT_COLS / 32u || row >= batch.count.x) {
        return;
    }
    let block = load_block(k, batch.rows[row].token);
    let at = row * WEIGHT_COLS / 4u + k * 8u;
    x[at] = block.w0;
    x[at + 1u] = block.w1;
    x[at + 2u] = block.w2;
    x[at + 3u] = block.w3;
    x[at + 4u] = block.w4;
    x[at + 5u] = block.w5;
    x[at + 6u] = block.w6;
    x[at + 7u] = block.w7;
}
