// project: a projection that is added to the residual stream: attention output, and FFN down.

@group(0) @binding(4) var<storage, read_write> x: array<f32>;

const PAIR_COUNT = WEIGHT_ROWS / 2u;

fn rows_of(pair: u32) -> vec2<u32> {
    return vec2(pair, pair + PAIR_COUNT);
}

fn store(pair: u32, row: u32, product: vec2<f32>) {
    let at = row * WEIGHT_ROWS + pair;
    x[at] += product.x;
    x[at + PAIR_COUNT] += product.y;
}
