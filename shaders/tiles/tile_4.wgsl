// A tile of four batch rows, a column each.

const TILE = 4u;

alias TileInput = mat4x4<f32>;
alias Tile = vec4<f32>;

fn load_tile(first: u32, k4: u32) -> TileInput {
    return mat4x4(
        read_input(first, k4),
        read_input(first + 1u, k4),
        read_input(first + 2u, k4),
        read_input(first + 3u, k4),
    );
}

fn scale_tile(x: TileInput, scale: vec4<f32>) -> TileInput {
    return mat4x4(x[0] * scale, x[1] * scale, x[2] * scale, x[3] * scale);
}

fn tile_dot(w: vec4<f32>, x: TileInput) -> Tile {
    return w * x;
}

fn tile_squares(x: TileInput) -> Tile {
    return vec4(dot(x[0], x[0]), dot(x[1], x[1]), dot(x[2], x[2]), dot(x[3], x[3]));
}

fn tile_element(products: Tile, t: u32) -> f32 {
    return products[t];
}
