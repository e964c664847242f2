// The matrix product of a long batch, a prefill: qkv, project, gate_up and head share it.
//
// A workgroup multiplies 32 pairs of weight rows with 32 rows of the batch, 32 values of k at a
// time: it unpacks them into workgroup memory once, and each of its 128 threads multiplies 2 pairs
// with 4 batch rows from there, so that an unpacked weight serves 32 rows and a value read from
// workgroup memory four products. It needs 14 KB of workgroup memory; WebGPU promises 16.
//
// Stage and input define what vector.wgsl says.

const BATCH_ROWS = 32u;
// vec4s of a staged row, one of them unused: an odd stride spreads rows over the memory banks.
const STRIDE = 9u;

// The first rows of 32 pairs, then their second rows.
var<workgroup> weight_tile: array<vec4<f32>, 64u * STRIDE>;
var<workgroup> input_tile: array<vec4<f32>, BATCH_ROWS * STRIDE>;
// Sums of squares, of the quarter of a batch row that each thread stages.
var<workgroup> squares: array<f32, THREADS>;

fn stage_weights(pairs: u32, k: u32, thread: u32) {
    let slot = thread % 64u;
    let rows = rows_of(min(pairs + slot % 32u, PAIR_COUNT - 1u));
    let block = load_block(k, select(rows.x, rows.y, slot >= 32u));
    let at = slot * STRIDE;
    if (thread < 64u) {
        weight_tile[at] = w0(block);
        weight_tile[at + 1u] = w1(block);
        weight_tile[at + 2u] = w2(block);
        weight_tile[at + 3u] = w3(block);
    } else {
        weight_tile[at + 4u] = w4(block);
        weight_tile[at + 5u] = w5(block);
        weight_tile[at + 6u] = w6(block);
        weight_tile[at + 7u] = w7(block);
    }
}

// Gives the sum of squares of what it stages.
fn stage_input(first: u32, k: u32, thread: u32) -> f32 {
    let row = thread / 4u;
    let quarter = thread % 4u * 2u;
    let k4 = k * 8u + quarter;
    let x = read_input(first + row, k4);
    let y = read_input(first + row, k4 + 1u);
    let at = row * STRIDE + quarter;
    if (NORMED) {
        input_tile[at] = x * norm_scale(k4);
        input_tile[at + 1u] = y * norm_scale(k4 + 1u);
        return dot(x, x) + dot(y, y);
    }
    input_tile[at] = x;
    input_tile[at + 1u] = y;
    return 0.0;
}

// The products of pairs `pair` and `pair + 16` of the tile with one batch row:
// (first row of both, second row of both).
fn store_pairs(pairs: u32, pair: u32, row: u32, local_row: u32, sums: vec4<f32>) {
    if (row >= batch.row_count) {
        return;
    }
    var products = sums;
    if (NORMED) {
        let at = local_row * 4u;
        let whole = squares[at] + squares[at + 1u] + squares[at + 2u] + squares[at + 3u];
        products *= inverseSqrt(whole / f32(WEIGHT_COLS) + NORM_EPS);
    }
    if (pairs + pair < PAIR_COUNT) {
        store(pairs + pair, row, products.xz);
    }
    if (pairs + pair + 16u < PAIR_COUNT) {
        store(pairs + pair + 16u, row, products.yw);
    }
}

@compute @workgroup_size(THREADS)
fn multiply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if (batch.active_count == 0u) {
        return;
    }
    let pairs = group.x * PAIRS;
    let first = group.y * BATCH_ROWS;
    let pair = thread % 16u;
    let row = thread / 16u;
    var square = 0.0;
    // A vector for each batch row: two first rows, two second rows.
    var sums_0 = vec4(0.0);
    var sums_1 = vec4(0.0);
    var sums_2 = vec4(0.0);
    var sums_3 = vec4(0.0);
    for (var k = 0u; k < WEIGHT_COLS / 32u; k++) {
        workgroupBarrier();
        stage_weights(pairs, k, thread);
        square += stage_input(first, k, thread);
        workgroupBarrier();
        for (var k4 = 0u; k4 < 8u; k4++) {
            let w = mat4x4(
                weight_tile[pair * STRIDE + k4],
                weight_tile[(pair + 16u) * STRIDE + k4],
                weight_tile[(pair + 32u) * STRIDE + k4],
                weight_tile[(pair + 48u) * STRIDE + k4],
            );
            sums_0 += input_tile[row * STRIDE + k4] * w;
            sums_1 += input_tile[(row + 8u) * STRIDE + k4] * w;
            sums_2 += input_tile[(row + 16u) * STRIDE + k4] * w;
            sums_3 += input_tile[(row + 24u) * STRIDE + k4] * w;
        }
    }
    squares[thread] = square;
    workgroupBarrier();
    store_pairs(pairs, pair, first + row, row, sums_0);
    store_pairs(pairs, pair, first + row + 8u, row + 8u, sums_1);
    store_pairs(pairs, pair, first + row + 16u, row + 16u, sums_2);
    store_pairs(pairs, pair, first + row + 24u, row + 24u, sums_3);
}
