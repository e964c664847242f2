// As shuffle.wgsl, for a tile of two columns: WGSL shuffles vectors, no matrices.

fn from_neighbour(tile: Tile, distance: u32) -> Tile {
    return Tile(subgroupShuffleXor(tile[0], distance), subgroupShuffleXor(tile[1], distance));
}
