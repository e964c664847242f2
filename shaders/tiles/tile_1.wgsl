// A tile of one row.

const TILE = 1u;

alias TileInput = vec4<f32>;
alias TileFactor = vec4<Real>;
alias Tile = f32;

fn load_tile(first: u32, k4: u32) -> TileInput {
    return read_input(first, k4);
}

fn tile_factor(x: TileInput) -> TileFactor {
    return TileFactor(x);
}

fn scale_tile(x: TileInput, scale: vec4<f32>) -> TileInput {
    return x * scale;
}

fn tile_dot(w: vec4<Real>, x: TileFactor) -> Tile {
    return Tile(dot(w, x));
}

fn tile_squares(x: TileInput) -> Tile {
    return dot(x, x);
}

fn tile_element(products: Tile, t: u32) -> f32 {
    return products;
}

fn tile_outer(weights: Tile, value: vec4<f32>) -> TileInput {
    return TileInput(value * weights);
}

fn scale_rows(x: TileInput, scale: Tile) -> TileInput {
    return TileInput(x * scale);
}

fn tile_row(x: TileInput, t: u32) -> vec4<f32> {
    return x;
}
