// A tile of four rows, a column each.

const TILE = 4u;

alias TileInput = mat4x4<f32>;
alias TileFactor = mat4x4<Real>;
alias Tile = vec4<f32>;

fn load_tile(first: u32, k4: u32) -> TileInput {
    return TileInput(
        read_input(first, k4),
        read_input(first + 1u, k4),
        read_input(first + 2u, k4),
        read_input(first + 3u, k4),
    );
}

fn tile_factor(x: TileInput) -> TileFactor {
    return TileFactor(vec4<Real>(x[0]), vec4<Real>(x[1]), vec4<Real>(x[2]), vec4<Real>(x[3]));
}

fn scale_tile(x: TileInput, scale: vec4<f32>) -> TileInput {
    return TileInput(x[0] * scale, x[1] * scale, x[2] * scale, x[3] * scale);
}

fn tile_dot(w: vec4<Real>, x: TileFactor) -> Tile {
    return Tile(w * x);
}

fn tile_squares(x: TileInput) -> Tile {
    return Tile(dot(x[0], x[0]), dot(x[1], x[1]), dot(x[2], x[2]), dot(x[3], x[3]));
}

fn tile_element(products: Tile, t: u32) -> f32 {
    return products[t];
}

fn tile_outer(weights: Tile, value: vec4<f32>) -> TileInput {
    return TileInput(value * weights.x, value * weights.y, value * weights.z, value * weights.w);
}

fn scale_rows(x: TileInput, scale: Tile) -> TileInput {
    return TileInput(x[0] * scale.x, x[1] * scale.y, x[2] * scale.z, x[3] * scale.w);
}

fn tile_row(x: TileInput, t: u32) -> vec4<f32> {
    return x[t];
}
