// gate_up: RMSNorm, the gate and up projections as one matrix, and SwiGLU: silu(gate) * up.
// Grid: (rows of the gate, tiles of batch rows).

@group(0) @binding(5) var<storage, read_write> activated: array<f32>;

@compute @workgroup_size(64)
fn gate_up(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let ffn_width = WEIGHT_ROWS / 2u;
    if (id.x >= ffn_width || batch.active_count == 0u) {
        return;
    }
    let first = group.y * TILE;
    let products = multiply(id.x, id.x + ffn_width, first);
    for (var t = 0u; t < TILE; t++) {
        if (first + t >= batch.row_count) {
            return;
        }
        let gate = tile_element(products.a, t);
        activated[(first + t) * ffn_width + id.x] = gate / (1.0 + exp(-gate)) * tile_element(products.b, t);
    }
}
