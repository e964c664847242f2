// head: RMSNorm and the logits of every token of the vocabulary.
// Grid: (pairs of weight rows, tiles of batch rows).

@group(0) @binding(5) var<storage, read_write> logits: array<f32>;

@compute @workgroup_size(64)
fn head(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let half = (WEIGHT_ROWS + 1u) / 2u;
    if (id.x >= half || batch.active_count == 0u) {
        return;
    }
    // An odd vocabulary has no partner for its last row: that thread takes the row twice.
    let partner = min(id.x + half, WEIGHT_ROWS - 1u);
    let first = group.y * TILE;
    let products = multiply(id.x, partner, first);
    for (var t = 0u; t < TILE; t++) {
        if (first + t >= batch.row_count) {
            return;
        }
        let at = (first + t) * WEIGHT_ROWS;
        logits[at + id.x] = tile_element(products.a, t);
        logits[at + partner] = tile_element(products.b, t);
    }
}
