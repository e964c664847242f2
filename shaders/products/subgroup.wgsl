// The slices of a pair are neighbouring threads of a subgroup, which add their sums without memory
// and without a barrier. SLICES is a power of two, at most the size of a subgroup; that the threads
// of a workgroup fill its subgroups in order is not promised by WGSL, and is checked on the device
// before this variant is chosen.

fn pair_of(thread: u32) -> u32 {
    return thread / SLICES;
}

fn slice_of(thread: u32) -> u32 {
    return thread % SLICES;
}

fn reduce(sums: Sums, thread: u32) -> Sums {
    var whole = sums;
    for (var distance = 1u; distance < SLICES; distance *= 2u) {
        whole.a += from_neighbour(whole.a, distance);
        whole.b += from_neighbour(whole.b, distance);
        if (NORMED) {
            whole.squares += from_neighbour(whole.squares, distance);
        }
    }
    return whole;
}

fn total(sums: Sums, thread: u32, t: u32) -> vec3<f32> {
    return vec3(tile_element(sums.a, t), tile_element(sums.b, t), tile_element(sums.squares, t));
}
