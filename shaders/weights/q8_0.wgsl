// Q8_0: w = d * q, with 32 signed bytes and d as f16.
// One word of scales serves two neighbouring blocks of a row.

fn signed_bytes(word: u32) -> vec4<f32> {
    return vec4<f32>(bitcast<vec4<i32>>(vec4(word) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
}

fn load_block(k: u32, row: u32) -> Block {
    let a = quants[2u * k * WEIGHT_ROWS + row];
    let b = quants[(2u * k + 1u) * WEIGHT_ROWS + row];
    let d = unpack2x16float(scales[k / 2u * WEIGHT_ROWS + row])[k % 2u];
    return Block(
        d * signed_bytes(a.x), d * signed_bytes(a.y), d * signed_bytes(a.z), d * signed_bytes(a.w),
        d * signed_bytes(b.x), d * signed_bytes(b.y), d * signed_bytes(b.z), d * signed_bytes(b.w),
    );
}
