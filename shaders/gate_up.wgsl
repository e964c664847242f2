// gate_up: RMSNorm, the gate and up projections as one matrix, and SwiGLU: silu(gate) * up.

@group(0) @binding(5) var<storage, read_write> activated: array<f32>;

const PAIR_COUNT = WEIGHT_ROWS / 2u;

fn rows_of(pair: u32) -> vec2<u32> {
    return vec2(pair, pair + PAIR_COUNT);
}

fn store(pair: u32, row: u32, product: vec2<f32>) {
    let gate = product.x;
    activated[row * PAIR_COUNT + pair] = gate / (1.0 + exp(-gate)) * product.y;
}
