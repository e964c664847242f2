// Q4_1: w = d * q + m, with d and m as f16 in one word of scales.

fn load_block(k: u32, row: u32) -> Block {
    let at = k * WEIGHT_ROWS + row;
    let dm = unpack2x16float(scales[at]);
    return Block(quants[at], Real(dm.x), Real(dm.y));
}
