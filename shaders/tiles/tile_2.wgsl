// A tile of two batch rows, a column each.

const TILE = 2u;

alias TileInput = mat2x4<f32>;
alias Tile = vec2<f32>;

fn load_tile(first: u32, k4: u32) -> TileInput {
    return mat2x4(read_input(first, k4), read_input(first + 1u, k4));
}

fn scale_tile(x: TileInput, scale: vec4<f32>) -> TileInput {
    return mat2x4(x[0] * scale, x[1] * scale);
}

fn tile_dot(w: vec4<f32>, x: TileInput) -> Tile {
    return w * x;
}

fn tile_squares(x: TileInput) -> Tile {
    return vec2(dot(x[0], x[0]), dot(x[1], x[1]));
}

fn tile_element(products: Tile, t: u32) -> f32 {
    return products[t];
}
