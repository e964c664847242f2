// add_to_residual: activation steering. Adds a vector to the residual stream of each row that
// decodes, after one layer; a lane that is not steered there has zeros. With cache steering, which
// writes once, nothing of this runs.
// Grid: (vec4s of the width, rows).

@group(0) @binding(1) var<storage, read> deltas: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(64)
fn add_to_residual(@builtin(global_invocation_id) id: vec3<u32>) {
    let k = id.x;
    let row = id.y;
    if (k >= WIDTH / 4u || !is_computed(row)) {
        return;
    }
    x[row * WIDTH / 4u + k] += deltas[batch.rows[row].lane * WIDTH / 4u + k];
}
