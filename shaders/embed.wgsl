// embed: the token's row of the embedding becomes the row's residual stream. Of an embedding in
// several parts, each leaves the tokens of the others alone.
// Grid: (blocks of 32 values, rows).

@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(64)
fn embed(@builtin(global_invocation_id) id: vec3<u32>) {
    let k = id.x;
    let row = id.y;
    // Beyond the end for a token of an earlier part as well.
    let token = batch.rows[row].token - FIRST_ROW;
    if (k >= WEIGHT_COLS / 32u || token >= WEIGHT_ROWS || !is_computed(row)) {
        return;
    }
    let block = load_block(k, token);
    let at = row * WEIGHT_COLS / 4u + k * 8u;
    x[at] = w0(block);
    x[at + 1u] = w1(block);
    x[at + 2u] = w2(block);
    x[at + 3u] = w3(block);
    x[at + 4u] = w4(block);
    x[at + 5u] = w5(block);
    x[at + 6u] = w6(block);
    x[at + 7u] = w7(block);
}
