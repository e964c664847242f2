// The matrix product that qkv, project, gate_up and head share.
//
// One thread multiplies two rows of the weight matrix with a tile of 1, 2 or 4 rows of the batch
// (tiles/): a decode step has one row for each lane, a prefill fills the largest tile, and both
// read each weight once for all rows of the tile. The tile is a matrix type and not an array,
// because several drivers keep arrays in slow memory. No thread waits for another: software
// adapters run barriers an order of magnitude slower than arithmetic.
//
// The tile is chosen by the workgroup, not by the thread, so that a compiler can tell that all
// threads of a workgroup read the same input.
//
// The stage's input defines (normed_input.wgsl, or the stage itself)
//   NORMED               whether RMSNorm comes before the product
//   fn read_input(row, k4)   four values of the input row
//   fn norm_scale(k4)        the norm's scale for them
//
// RMSNorm divides the whole row by one number, so the product may be divided instead: the sum of
// squares is collected on the way, and the row is read once.

struct Products {
    a: Tile,
    b: Tile,
}

struct Sums {
    a: Tile,
    b: Tile,
    squares: Tile,
}

fn add_products(sums: Sums, a: vec4<f32>, b: vec4<f32>, first: u32, k4: u32) -> Sums {
    var x = load_tile(first, k4);
    var squares = sums.squares;
    if (NORMED) {
        squares += tile_squares(x);
        x = scale_tile(x, norm_scale(k4));
    }
    return Sums(sums.a + tile_dot(a, x), sums.b + tile_dot(b, x), squares);
}

fn multiply(row_a: u32, row_b: u32, first: u32) -> Products {
    var sums: Sums;
    for (var k = 0u; k < WEIGHT_COLS / 32u; k++) {
        let a = load_block(k, row_a);
        let b = load_block(k, row_b);
        let k4 = k * 8u;
        sums = add_products(sums, w0(a), w0(b), first, k4);
        sums = add_products(sums, w1(a), w1(b), first, k4 + 1u);
        sums = add_products(sums, w2(a), w2(b), first, k4 + 2u);
        sums = add_products(sums, w3(a), w3(b), first, k4 + 3u);
        sums = add_products(sums, w4(a), w4(b), first, k4 + 4u);
        sums = add_products(sums, w5(a), w5(b), first, k4 + 5u);
        sums = add_products(sums, w6(a), w6(b), first, k4 + 6u);
        sums = add_products(sums, w7(a), w7(b), first, k4 + 7u);
    }
    if (NORMED) {
        let scale = inverseSqrt(sums.squares / f32(WEIGHT_COLS) + NORM_EPS);
        return Products(sums.a * scale, sums.b * scale);
    }
    return Products(sums.a, sums.b);
}
