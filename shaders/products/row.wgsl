// One thread for each pair of weight rows: nothing to reduce, and no thread waits for another.
// For software adapters, which run barriers an order of magnitude slower than arithmetic.

fn pair_of(thread: u32) -> u32 {
    return thread;
}

fn slice_of(thread: u32) -> u32 {
    return 0u;
}

fn reduce(sums: Sums, thread: u32) -> Sums {
    return sums;
}

fn total(sums: Sums, thread: u32, t: u32) -> vec3<f32> {
    return vec3(tile_element(sums.a, t), tile_element(sums.b, t), tile_element(sums.squares, t));
}
