// A block is 32 consecutive values of one row of a weight matrix. Each storage format has a file
// in this folder with its own `load_block(k, row)`: block k of a row, as 8 vectors.
//
// The bytes lie block-major, in pieces of 16: piece p of block k of all rows, then the next piece.
// Neighbouring threads take neighbouring rows, so that a load is one coalesced run of 128-bit words.

@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

struct Block {
    w0: vec4<f32>,
    w1: vec4<f32>,
    w2: vec4<f32>,
    w3: vec4<f32>,
    w4: vec4<f32>,
    w5: vec4<f32>,
    w6: vec4<f32>,
    w7: vec4<f32>,
}

fn low_nibbles(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(15u));
}

fn high_nibbles(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4(word) >> vec4(4u, 12u, 20u, 28u)) & vec4(15u));
}
