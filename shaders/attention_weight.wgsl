// attention_weight: how much of its attention each query head of a row gives to one position of the
// row's lane. For those who look into the cache: attention itself leaves no weights.
//
// Each thread of a query head's workgroup keeps a softmax of every THREADS-th position; then one
// thread puts them together.
//
// Grid: (query heads, rows).

struct Watched {
    position: u32,
}

@group(0) @binding(1) var<uniform> watched: Watched;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> keys: array<vec4<Cached>>;
// Of this layer: [row, query head].
@group(0) @binding(4) var<storage, read_write> weights: array<f32>;

const THREADS = 64u;

// The largest score so far, and the sum of weights relative to it.
struct Softmax {
    highest: f32,
    total: f32,
}

var<workgroup> softmaxes: array<Softmax, THREADS>;

fn merge(a: Softmax, b: Softmax) -> Softmax {
    let highest = max(a.highest, b.highest);
    let total = a.total * exp(a.highest - highest) + b.total * exp(b.highest - highest);
    return Softmax(highest, total);
}

fn score(q_head: u32, key: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < HEAD_VEC4; i++) {
        sum += dot(vec4<f32>(keys[key + i]), q[q_head * HEAD_VEC4 + i]);
    }
    return sum * ATTENTION_SCALE;
}

@compute @workgroup_size(THREADS)
fn attention_weight(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let head = group.x;
    let row = group.y;
    let q_head = row * N_HEADS + head;
    let kv_head = head / (N_HEADS / N_KV_HEADS);
    let lane_start = slot_of(row, 0u) * SLOT_VEC4 + kv_head * HEAD_VEC4;
    let length = select(0u, batch.rows[row].position + 1u, is_computed(row));

    var softmax = Softmax(LOWEST, 0.0);
    for (var position = thread; position < length; position += THREADS) {
        softmax = merge(softmax, Softmax(score(q_head, lane_start + position * SLOT_VEC4), 1.0));
    }
    softmaxes[thread] = softmax;
    workgroupBarrier();
    if (thread > 0u) {
        return;
    }
    for (var t = 1u; t < THREADS; t++) {
        softmax = merge(softmax, softmaxes[t]);
    }
    var weight = 0.0;
    if (watched.position < length) {
        let watched_score = score(q_head, lane_start + watched.position * SLOT_VEC4);
        weight = exp(watched_score - softmax.highest) / softmax.total;
    }
    weights[q_head] = weight;
}
