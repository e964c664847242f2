// What the formats of 4 bits have in common: w = d * q + m, with 32 nibbles in 16 bytes. Byte i holds
// element i in its low nibble and element i + 16 in its high one.

struct Block {
    q: vec4<u32>,
    d: Real,
    m: Real,
}

fn low_nibbles(word: u32) -> vec4<Real> {
    return vec4<Real>((vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(15u));
}

fn high_nibbles(word: u32) -> vec4<Real> {
    return vec4<Real>((vec4(word) >> vec4(4u, 12u, 20u, 28u)) & vec4(15u));
}

fn unpack_low(b: Block, word: u32) -> vec4<Real> {
    return fma(low_nibbles(word), vec4(b.d), vec4(b.m));
}

fn unpack_high(b: Block, word: u32) -> vec4<Real> {
    return fma(high_nibbles(word), vec4(b.d), vec4(b.m));
}

fn w0(b: Block) -> vec4<Real> { return unpack_low(b, b.q.x); }
fn w1(b: Block) -> vec4<Real> { return unpack_low(b, b.q.y); }
fn w2(b: Block) -> vec4<Real> { return unpack_low(b, b.q.z); }
fn w3(b: Block) -> vec4<Real> { return unpack_low(b, b.q.w); }
fn w4(b: Block) -> vec4<Real> { return unpack_high(b, b.q.x); }
fn w5(b: Block) -> vec4<Real> { return unpack_high(b, b.q.y); }
fn w6(b: Block) -> vec4<Real> { return unpack_high(b, b.q.z); }
fn w7(b: Block) -> vec4<Real> { return unpack_high(b, b.q.w); }
