// A tile of eight batch rows, in two matrices of four columns.

const TILE = 8u;

struct TileInput {
    low: mat4x4<f32>,
    high: mat4x4<f32>,
}

struct TileFactor {
    low: mat4x4<Real>,
    high: mat4x4<Real>,
}

alias Tile = mat2x4<f32>;

fn load_tile(first: u32, k4: u32) -> TileInput {
    return TileInput(load_four(first, k4), load_four(first + 4u, k4));
}

fn load_four(first: u32, k4: u32) -> mat4x4<f32> {
    return mat4x4(
        read_input(first, k4),
        read_input(first + 1u, k4),
        read_input(first + 2u, k4),
        read_input(first + 3u, k4),
    );
}

fn tile_factor(x: TileInput) -> TileFactor {
    return TileFactor(four_factors(x.low), four_factors(x.high));
}

fn four_factors(x: mat4x4<f32>) -> mat4x4<Real> {
    return mat4x4<Real>(vec4<Real>(x[0]), vec4<Real>(x[1]), vec4<Real>(x[2]), vec4<Real>(x[3]));
}

fn scale_tile(x: TileInput, scale: vec4<f32>) -> TileInput {
    return TileInput(scale_four(x.low, scale), scale_four(x.high, scale));
}

fn scale_four(x: mat4x4<f32>, scale: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(x[0] * scale, x[1] * scale, x[2] * scale, x[3] * scale);
}

fn tile_dot(w: vec4<Real>, x: TileFactor) -> Tile {
    return Tile(vec4<f32>(w * x.low), vec4<f32>(w * x.high));
}

fn tile_squares(x: TileInput) -> Tile {
    return Tile(four_squares(x.low), four_squares(x.high));
}

fn four_squares(x: mat4x4<f32>) -> vec4<f32> {
    return vec4(dot(x[0], x[0]), dot(x[1], x[1]), dot(x[2], x[2]), dot(x[3], x[3]));
}

fn tile_element(products: Tile, t: u32) -> f32 {
    return products[t / 4u][t % 4u];
}
