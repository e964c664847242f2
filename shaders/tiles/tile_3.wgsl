// A tile of three rows, a column each. Batches have tiles of 1, 2, 4 or 8; this one is for query heads.

const TILE = 3u;

alias TileInput = mat3x4<f32>;
alias TileFactor = mat3x4<Real>;
alias Tile = vec3<f32>;

fn load_tile(first: u32, k4: u32) -> TileInput {
    return TileInput(
        read_input(first, k4),
        read_input(first + 1u, k4),
        read_input(first + 2u, k4),
    );
}

fn tile_factor(x: TileInput) -> TileFactor {
    return TileFactor(vec4<Real>(x[0]), vec4<Real>(x[1]), vec4<Real>(x[2]));
}

fn scale_tile(x: TileInput, scale: vec4<f32>) -> TileInput {
    return TileInput(x[0] * scale, x[1] * scale, x[2] * scale);
}

fn tile_dot(w: vec4<Real>, x: TileFactor) -> Tile {
    return Tile(w * x);
}

fn tile_squares(x: TileInput) -> Tile {
    return Tile(dot(x[0], x[0]), dot(x[1], x[1]), dot(x[2], x[2]));
}

fn tile_element(products: Tile, t: u32) -> f32 {
    return products[t];
}

fn tile_outer(weights: Tile, value: vec4<f32>) -> TileInput {
    return TileInput(value * weights.x, value * weights.y, value * weights.z);
}

fn scale_rows(x: TileInput, scale: Tile) -> TileInput {
    return TileInput(x[0] * scale.x, x[1] * scale.y, x[2] * scale.z);
}

fn tile_row(x: TileInput, t: u32) -> vec4<f32> {
    return x[t];
}
