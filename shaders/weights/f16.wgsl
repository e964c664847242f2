// F16: two values a word; needs no shader-f16.

fn halves(low: u32, high: u32) -> vec4<f32> {
    return vec4(unpack2x16float(low), unpack2x16float(high));
}

fn load_block(k: u32, row: u32) -> Block {
    let at = 4u * k * WEIGHT_ROWS + row;
    let a = quants[at];
    let b = quants[at + WEIGHT_ROWS];
    let c = quants[at + 2u * WEIGHT_ROWS];
    let d = quants[at + 3u * WEIGHT_ROWS];
    return Block(
        halves(a.x, a.y), halves(a.z, a.w), halves(b.x, b.y), halves(b.z, b.w),
        halves(c.x, c.y), halves(c.z, c.w), halves(d.x, d.y), halves(d.z, d.w),
    );
}
