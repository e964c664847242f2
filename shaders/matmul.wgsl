// The matrix product that qkv, project, gate_up and head share.
//
// One thread multiplies two rows of the weight matrix with TILE rows of the batch. TILE is 1 to 8:
// a decode step has one row for each lane, a prefill fills the largest tile, and both read each
// weight once for all rows of the tile. No thread waits for another: software adapters run
// barriers an order of magnitude slower than arithmetic.
//
// The stage's input defines (normed_input.wgsl, or the stage itself)
//   NORMED                      whether RMSNorm comes before the product
//   fn read_input(row, k4)      four values of the input row
//   fn scale_input(value, k4)   the same, times the norm's scale
//
// RMSNorm divides the whole row by one number, so the product may be divided instead: the sum of
// squares is collected on the way, and the row is read once.

struct Products {
    a: array<f32, TILE>,
    b: array<f32, TILE>,
}

fn multiply(row_a: u32, row_b: u32, first: u32) -> Products {
    var products: Products;
    var squares: array<f32, TILE>;
    for (var k = 0u; k < WEIGHT_COLS / 32u; k++) {
        let a = load_block(k, row_a);
        let b = load_block(k, row_b);
        for (var t = 0u; t < TILE; t++) {
            let row = first + t;
            let at = k * 8u;
            let v0 = read_input(row, at);
            let v1 = read_input(row, at + 1u);
            let v2 = read_input(row, at + 2u);
            let v3 = read_input(row, at + 3u);
            let v4 = read_input(row, at + 4u);
            let v5 = read_input(row, at + 5u);
            let v6 = read_input(row, at + 6u);
            let v7 = read_input(row, at + 7u);
            if (NORMED) {
                squares[t] += dot(v0, v0) + dot(v1, v1) + dot(v2, v2) + dot(v3, v3)
                    + dot(v4, v4) + dot(v5, v5) + dot(v6, v6) + dot(v7, v7);
            }
            let x0 = scale_input(v0, at);
            let x1 = scale_input(v1, at + 1u);
            let x2 = scale_input(v2, at + 2u);
            let x3 = scale_input(v3, at + 3u);
            let x4 = scale_input(v4, at + 4u);
            let x5 = scale_input(v5, at + 5u);
            let x6 = scale_input(v6, at + 6u);
            let x7 = scale_input(v7, at + 7u);
            products.a[t] += dot(a.w0, x0) + dot(a.w1, x1) + dot(a.w2, x2) + dot(a.w3, x3)
                + dot(a.w4, x4) + dot(a.w5, x5) + dot(a.w6, x6) + dot(a.w7, x7);
            products.b[t] += dot(b.w0, x0) + dot(b.w1, x1) + dot(b.w2, x2) + dot(b.w3, x3)
                + dot(b.w4, x4) + dot(b.w5, x5) + dot(b.w6, x6) + dot(b.w7, x7);
        }
    }
    if (NORMED) {
        for (var t = 0u; t < TILE; t++) {
            let scale = inverseSqrt(squares[t] / f32(WEIGHT_COLS) + NORM_EPS);
            products.a[t] *= scale;
            products.b[t] *= scale;
        }
    }
    return products;
}
