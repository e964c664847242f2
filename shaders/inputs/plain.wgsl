// The input of a matrix product as an earlier stage left it.

@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;

const NORMED = false;

fn prepare_input(first: u32, thread: u32) {}

fn read_input(row: u32, k4: u32) -> vec4<f32> {
    return input[row * (WEIGHT_COLS / 4u) + k4];
}

fn norm_scale(k4: u32) -> vec4<f32> {
    return vec4(1.0);
}
