// The slices of a pair meet in workgroup memory, behind one barrier. Neighbouring threads take
// neighbouring pairs, so a workgroup reads as many runs of weights as it has slices.
// For every GPU, whatever it tells of its subgroups.

var<workgroup> parts: array<Sums, THREADS>;

fn pair_of(thread: u32) -> u32 {
    return thread % PAIRS;
}

fn slice_of(thread: u32) -> u32 {
    return thread / PAIRS;
}

fn reduce(sums: Sums, thread: u32) -> Sums {
    parts[thread] = sums;
    workgroupBarrier();
    return sums;
}

fn total(sums: Sums, thread: u32, t: u32) -> vec3<f32> {
    var whole = vec3(0.0);
    for (var part = pair_of(thread); part < THREADS; part += PAIRS) {
        whole += vec3(
            tile_element(parts[part].a, t),
            tile_element(parts[part].b, t),
            tile_element(parts[part].squares, t),
        );
    }
    return whole;
}
