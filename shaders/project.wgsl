// project: a projection that is added to the residual stream: attention output, and FFN down.
// Grid: (pairs of weight rows, tiles of batch rows).

@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;

const NORMED = false;

fn read_input(row: u32, k4: u32) -> vec4<f32> {
    return input[row * (WEIGHT_COLS / 4u) + k4];
}

fn norm_scale(k4: u32) -> vec4<f32> {
    return vec4(1.0);
}

@compute @workgroup_size(64)
fn project(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let half = WEIGHT_ROWS / 2u;
    if (id.x >= half || batch.active_count == 0u) {
        return;
    }
    let first = group.y * TILE;
    let products = multiply(id.x, id.x + half, first);
    for (var t = 0u; t < TILE; t++) {
        if (first + t >= batch.row_count) {
            return;
        }
        let at = (first + t) * WEIGHT_ROWS + id.x;
        x[at] += tile_element(products.a, t);
        x[at + half] += tile_element(products.b, t);
    }
}
