// F32, as it is: a block is the address of its first piece.

struct Block {
    at: u32,
}

fn load_block(k: u32, row: u32) -> Block {
    return Block(8u * k * WEIGHT_ROWS + row);
}

fn piece(b: Block, i: u32) -> vec4<Real> {
    return vec4<Real>(bitcast<vec4<f32>>(quants[b.at + i * WEIGHT_ROWS]));
}

fn w0(b: Block) -> vec4<Real> { return piece(b, 0u); }
fn w1(b: Block) -> vec4<Real> { return piece(b, 1u); }
fn w2(b: Block) -> vec4<Real> { return piece(b, 2u); }
fn w3(b: Block) -> vec4<Real> { return piece(b, 3u); }
fn w4(b: Block) -> vec4<Real> { return piece(b, 4u); }
fn w5(b: Block) -> vec4<Real> { return piece(b, 5u); }
fn w6(b: Block) -> vec4<Real> { return piece(b, 6u); }
fn w7(b: Block) -> vec4<Real> { return piece(b, 7u); }
