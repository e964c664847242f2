// Q4_1: w = d * q + m, with 32 nibbles in 16 bytes and d, m as f16.
// Byte i holds element i in its low nibble and element i + 16 in its high one.

fn load_block(k: u32, row: u32) -> Block {
    let at = k * WEIGHT_ROWS + row;
    let q = quants[at];
    let dm = unpack2x16float(scales[at]);
    let m = vec4<f32>(dm.y);
    return Block(
        fma(low_nibbles(q.x), vec4(dm.x), m), fma(low_nibbles(q.y), vec4(dm.x), m),
        fma(low_nibbles(q.z), vec4(dm.x), m), fma(low_nibbles(q.w), vec4(dm.x), m),
        fma(high_nibbles(q.x), vec4(dm.x), m), fma(high_nibbles(q.y), vec4(dm.x), m),
        fma(high_nibbles(q.z), vec4(dm.x), m), fma(high_nibbles(q.w), vec4(dm.x), m),
    );
}
