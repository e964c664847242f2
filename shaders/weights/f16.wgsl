// F16: two values a word; needs no shader-f16.

struct Block {
    q: vec4<u32>,
    r: vec4<u32>,
    s: vec4<u32>,
    t: vec4<u32>,
}

fn load_block(k: u32, row: u32) -> Block {
    let at = 4u * k * WEIGHT_ROWS + row;
    return Block(
        quants[at],
        quants[at + WEIGHT_ROWS],
        quants[at + 2u * WEIGHT_ROWS],
        quants[at + 3u * WEIGHT_ROWS],
    );
}

fn halves(words: vec2<u32>) -> vec4<Real> {
    return vec4<Real>(vec4(unpack2x16float(words.x), unpack2x16float(words.y)));
}

fn w0(b: Block) -> vec4<Real> { return halves(b.q.xy); }
fn w1(b: Block) -> vec4<Real> { return halves(b.q.zw); }
fn w2(b: Block) -> vec4<Real> { return halves(b.r.xy); }
fn w3(b: Block) -> vec4<Real> { return halves(b.r.zw); }
fn w4(b: Block) -> vec4<Real> { return halves(b.s.xy); }
fn w5(b: Block) -> vec4<Real> { return halves(b.s.zw); }
fn w6(b: Block) -> vec4<Real> { return halves(b.t.xy); }
fn w7(b: Block) -> vec4<Real> { return halves(b.t.zw); }
