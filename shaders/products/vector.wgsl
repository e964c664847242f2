// The matrix product of a few rows of the batch: qkv, project, gate_up and head share it.
//
// A thread multiplies a pair of rows of the weight matrix with a tile of 1, 2, 4 or 8 rows of the
// batch (tiles/), so that each weight is read once for all lanes of a decode step. SLICES threads
// share a pair: thread s takes blocks s, s + SLICES, ... of it, and their sums are added at the
// end, as the file beside this one says (row.wgsl, workgroup.wgsl, subgroup.wgsl):
//   fn pair_of(thread), fn slice_of(thread)   what a thread of the workgroup does
//   fn reduce(sums, thread)                   what all threads do with their sums
//   fn total(sums, thread, t)                 a, b and sum of squares of batch row t of the tile
// A matrix has a few hundred rows and a GPU thousands of threads: without slices most would idle.
//
// The tile is a matrix type and not an array, because several drivers keep arrays in slow memory.
// It is chosen by the workgroup, so that a compiler can tell which threads read the same input.
//
// The stage defines
//   PAIR_COUNT                          its pairs of weight rows
//   fn rows_of(pair)                    the two rows
//   fn store(pair, row, product)        what becomes of the two products of a batch row
// and its input (inputs/)
//   NORMED                              whether RMSNorm comes before the product
//   fn prepare_input(first, thread)     what the workgroup does before it reads
//   fn read_input(row, k4)              four values of the input row
//   fn norm_scale(k4)                   the norm's scale for them
//
// RMSNorm divides the whole row by one number, so the product may be divided instead: the sum of
// squares is collected on the way, and the row is read once.

struct Sums {
    a: Tile,
    b: Tile,
    squares: Tile,
}

fn add_products(sums: Sums, a: vec4<Real>, b: vec4<Real>, first: u32, k4: u32) -> Sums {
    var x = load_tile(first, k4);
    var squares = sums.squares;
    if (NORMED) {
        squares += tile_squares(x);
        x = scale_tile(x, norm_scale(k4));
    }
    let factor = tile_factor(x);
    return Sums(sums.a + tile_dot(a, factor), sums.b + tile_dot(b, factor), squares);
}

fn add_blocks(rows: vec2<u32>, first: u32, slice: u32) -> Sums {
    var sums: Sums;
    for (var k = slice; k < WEIGHT_COLS / 32u; k += SLICES) {
        let a = load_block(k, rows.x);
        let b = load_block(k, rows.y);
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
    return sums;
}

@compute @workgroup_size(THREADS)
fn multiply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if (batch.active_count == 0u) {
        return;
    }
    let first = group.y * TILE;
    prepare_input(first, thread);
    let pair = group.x * PAIRS + pair_of(thread);
    let slice = slice_of(thread);
    // Threads past the last pair repeat it: all threads must take part in the reduction.
    let rows = rows_of(min(pair, PAIR_COUNT - 1u));
    let sums = reduce(add_blocks(rows, first, slice), thread);
    if (pair >= PAIR_COUNT) {
        return;
    }
    for (var t = slice; t < TILE; t += SLICES) {
        if (first + t >= batch.row_count) {
            return;
        }
        let whole = total(sums, thread, t);
        var product = whole.xy;
        if (NORMED) {
            product *= inverseSqrt(whole.z / f32(WEIGHT_COLS) + NORM_EPS);
        }
        store(pair, first + t, product);
    }
}
