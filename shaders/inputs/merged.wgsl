// The attention output as several splits of the sequence left it (attention.wgsl). Merging them
// here saves a dispatch in every layer: each workgroup merges the rows of its tile for itself, into
// workgroup memory. What it reads is small and comes from the cache of the device.

@group(0) @binding(3) var<storage, read> input: array<vec4<f32>>;

const NORMED = false;
const INPUT_VEC4 = WEIGHT_COLS / 4u;

var<workgroup> merged: array<vec4<f32>, TILE * INPUT_VEC4>;

fn prepare_input(first: u32, thread: u32) {
    for (var i = thread; i < TILE * INPUT_VEC4; i += THREADS) {
        let k4 = i % INPUT_VEC4;
        let head = (first + i / INPUT_VEC4) * N_HEADS + k4 / HEAD_VEC4;
        var maximum = LOWEST;
        for (var s = 0u; s < SPLITS; s++) {
            maximum = max(maximum, input[split_record(head, s) + HEAD_VEC4].x);
        }
        var total = 0.0;
        var sum = vec4(0.0);
        for (var s = 0u; s < SPLITS; s++) {
            let record = split_record(head, s);
            let statistics = input[record + HEAD_VEC4];
            let weight = exp(statistics.x - maximum);
            total += weight * statistics.y;
            sum += weight * input[record + k4 % HEAD_VEC4];
        }
        merged[i] = sum / total;
    }
    workgroupBarrier();
}

fn read_input(row: u32, k4: u32) -> vec4<f32> {
    return merged[row % TILE * INPUT_VEC4 + k4];
}

fn norm_scale(k4: u32) -> vec4<f32> {
    return vec4(1.0);
}
