// Q4_0: w = d * (q - 8), with 32 nibbles in 16 bytes and d as f16.
// Byte i holds element i in its low nibble and element i + 16 in its high one.
// One word of scales serves two neighbouring blocks of a row.

fn load_block(k: u32, row: u32) -> Block {
    let q = quants[k * WEIGHT_ROWS + row];
    let d = unpack2x16float(scales[k / 2u * WEIGHT_ROWS + row])[k % 2u];
    let m = vec4<f32>(-8.0 * d);
    return Block(
        fma(low_nibbles(q.x), vec4(d), m), fma(low_nibbles(q.y), vec4(d), m),
        fma(low_nibbles(q.z), vec4(d), m), fma(low_nibbles(q.w), vec4(d), m),
        fma(high_nibbles(q.x), vec4(d), m), fma(high_nibbles(q.y), vec4(d), m),
        fma(high_nibbles(q.z), vec4(d), m), fma(high_nibbles(q.w), vec4(d), m),
    );
}
