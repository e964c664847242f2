// The input of a matrix product that begins with RMSNorm: the residual stream and the norm's scale.

@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> norm: array<vec4<f32>>;

const NORMED = true;

fn prepare_input(first: u32, thread: u32) {}

fn read_input(row: u32, k4: u32) -> vec4<f32> {
    return x[row * (WEIGHT_COLS / 4u) + k4];
}

fn norm_scale(k4: u32) -> vec4<f32> {
    return norm[k4];
}
