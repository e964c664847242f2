// Q4_0: w = d * (q - 8), with d as f16. One word of scales serves two neighbouring blocks of a row.

fn load_block(k: u32, row: u32) -> Block {
    let d = Real(unpack2x16float(scales[k / 2u * WEIGHT_ROWS + row])[k % 2u]);
    return Block(quants[k * WEIGHT_ROWS + row], d, -8.0 * d);
}
