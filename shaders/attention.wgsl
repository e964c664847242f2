// attention: grouped-query attention of one row over its lane's cache, up to its own position.
// A workgroup owns one query head of one row. It takes the cache 64 positions at a time: each
// thread scores one position, then each thread sums one element of the values over all of them,
// with the softmax kept up to date as the maximum grows (Milakov and Gimelshein 2018).
// Grid: (query heads, rows).

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> keys: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> attended: array<f32>;

const THREADS = 64u;
const HEAD_VEC4 = HEAD_DIM / 4u;
// Elements of the head that one thread sums.
const SHARE = (HEAD_DIM + THREADS - 1u) / THREADS;

var<workgroup> scores: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let head = group.x;
    let row = group.y;
    let length = select(0u, batch.rows[row].position + 1u, is_computed(row));
    let kv_head = head / (N_HEADS / N_KV_HEADS);
    let lane_start = slot_address(batch.rows[row].lane, 0u) + kv_head * HEAD_VEC4;
    let q_start = (row * N_HEADS + head) * HEAD_VEC4;

    var maximum = -3.4e38;
    var total = 0.0;
    var sums: array<f32, SHARE>;
    for (var start = 0u; start < length; start += THREADS) {
        var score = -3.4e38;
        if (start + thread < length) {
            let key = lane_start + (start + thread) * SLOT_VEC4;
            score = 0.0;
            for (var i = 0u; i < HEAD_VEC4; i++) {
                score += dot(q[q_start + i], keys[key + i]);
            }
            score *= ATTENTION_SCALE;
        }
        scores[thread] = score;
        workgroupBarrier();

        let count = min(THREADS, length - start);
        var highest = maximum;
        for (var j = 0u; j < count; j++) {
            highest = max(highest, scores[j]);
        }
        let shrink = exp(maximum - highest);
        maximum = highest;
        total *= shrink;
        for (var s = 0u; s < SHARE; s++) {
            sums[s] *= shrink;
        }
        for (var j = 0u; j < count; j++) {
            let weight = exp(scores[j] - highest);
            total += weight;
            let value = (lane_start + (start + j) * SLOT_VEC4) * 4u;
            for (var s = 0u; s < SHARE; s++) {
                let element = s * THREADS + thread;
                if (element < HEAD_DIM) {
                    sums[s] += weight * values[value + element];
                }
            }
        }
        workgroupBarrier();
    }
    for (var s = 0u; s < SHARE; s++) {
        let element = s * THREADS + thread;
        if (element < HEAD_DIM) {
            attended[q_start * 4u + element] = sums[s] / total;
        }
    }
}
