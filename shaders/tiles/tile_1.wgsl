// A tile of one batch row.

const TILE = 1u;

alias TileInput = vec4<f32>;
alias Tile = f32;

fn load_tile(first: u32, k4: u32) -> TileInput {
    return read_input(first, k4);
}

fn scale_tile(x: TileInput, scale: vec4<f32>) -> TileInput {
    return x * scale;
}

fn tile_dot(w: vec4<f32>, x: TileInput) -> Tile {
    return dot(w, x);
}

fn tile_squares(x: TileInput) -> Tile {
    return dot(x, x);
}

fn tile_element(products: Tile, t: u32) -> f32 {
    return products;
}
