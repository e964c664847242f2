// F32, as it is.

fn quarter(at: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(quants[at]);
}

fn load_block(k: u32, row: u32) -> Block {
    let at = 8u * k * WEIGHT_ROWS + row;
    return Block(
        quarter(at), quarter(at + WEIGHT_ROWS),
        quarter(at + 2u * WEIGHT_ROWS), quarter(at + 3u * WEIGHT_ROWS),
        quarter(at + 4u * WEIGHT_ROWS), quarter(at + 5u * WEIGHT_ROWS),
        quarter(at + 6u * WEIGHT_ROWS), quarter(at + 7u * WEIGHT_ROWS),
    );
}
