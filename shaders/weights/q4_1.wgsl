// Q4_1: w = d * q + m, with 32 nibbles in 16 bytes and d, m as f16.
// Byte i holds element i in its low nibble and element i + 16 in its high one.

struct Block {
    q: vec4<u32>,
    d: Real,
    m: Real,
}

fn load_block(k: u32, row: u32) -> Block {
    let at = k * WEIGHT_ROWS + row;
    let dm = unpack2x16float(scales[at]);
    return Block(quants[at], Real(dm.x), Real(dm.y));
}

fn w0(b: Block) -> vec4<Real> { return fma(low_nibbles(b.q.x), vec4(b.d), vec4(b.m)); }
fn w1(b: Block) -> vec4<Real> { return fma(low_nibbles(b.q.y), vec4(b.d), vec4(b.m)); }
fn w2(b: Block) -> vec4<Real> { return fma(low_nibbles(b.q.z), vec4(b.d), vec4(b.m)); }
fn w3(b: Block) -> vec4<Real> { return fma(low_nibbles(b.q.w), vec4(b.d), vec4(b.m)); }
fn w4(b: Block) -> vec4<Real> { return fma(high_nibbles(b.q.x), vec4(b.d), vec4(b.m)); }
fn w5(b: Block) -> vec4<Real> { return fma(high_nibbles(b.q.y), vec4(b.d), vec4(b.m)); }
fn w6(b: Block) -> vec4<Real> { return fma(high_nibbles(b.q.z), vec4(b.d), vec4(b.m)); }
fn w7(b: Block) -> vec4<Real> { return fma(high_nibbles(b.q.w), vec4(b.d), vec4(b.m)); }
