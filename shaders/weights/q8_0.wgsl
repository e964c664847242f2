// Q8_0: w = d * q, with 32 signed bytes and d as f16.
// One word of scales serves two neighbouring blocks of a row.

struct Block {
    q: vec4<u32>,
    r: vec4<u32>,
    d: Real,
}

fn load_block(k: u32, row: u32) -> Block {
    let at = 2u * k * WEIGHT_ROWS + row;
    let d = Real(unpack2x16float(scales[k / 2u * WEIGHT_ROWS + row])[k % 2u]);
    return Block(quants[at], quants[at + WEIGHT_ROWS], d);
}

fn signed_bytes(word: u32) -> vec4<Real> {
    return vec4<Real>(bitcast<vec4<i32>>(vec4(word) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
}

fn w0(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.q.x); }
fn w1(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.q.y); }
fn w2(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.q.z); }
fn w3(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.q.w); }
fn w4(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.r.x); }
fn w5(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.r.y); }
fn w6(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.r.z); }
fn w7(b: Block) -> vec4<Real> { return b.d * signed_bytes(b.r.w); }
