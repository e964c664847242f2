// The same tile in the thread of the subgroup whose number differs in the bit `distance`.

fn from_neighbour(tile: Tile, distance: u32) -> Tile {
    return subgroupShuffleXor(tile, distance);
}
