// attention: grouped-query attention of one row over its lane's cache, up to its own position.
//
// A workgroup owns a tile of query heads that share a KV head (tiles/, as rows of the tile), so
// that a key and a value are read once for all of them, and one of SPLITS equal parts of the
// sequence. It takes CHUNK positions at a time: each thread scores every THREADS-th of them; then a
// team of threads, each with four elements of the head, sums every TEAMS-th position's values. The
// softmax is kept up to date as the maximum grows (Milakov and Gimelshein 2018).
//
// One sequence has too few heads to fill a GPU: SPLITS > 1 spreads a long one over more workgroups
// (flash-decoding), and leaves it to the next stage to merge them (splits.wgsl, inputs/merged.wgsl).
//
// Grid: (tiles of query heads, rows, splits).

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> keys: array<vec4<Cached>>;
@group(0) @binding(3) var<storage, read> values: array<vec4<Cached>>;
@group(0) @binding(4) var<storage, read_write> attended: array<vec4<f32>>;

const CHUNK = 4u * THREADS;
const TEAMS = THREADS / HEAD_VEC4;

var<workgroup> weights: array<Tile, CHUNK>;
// Maxima, and in the end sums of weights, of each thread.
var<workgroup> statistics: array<Tile, THREADS>;
var<workgroup> parts: array<TileInput, THREADS>;

// The row of a tile is a query head here.
fn read_input(head: u32, k4: u32) -> vec4<f32> {
    return q[head * HEAD_VEC4 + k4];
}

@compute @workgroup_size(THREADS)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y;
    let head = group.x * TILE;
    let kv_head = head / (N_HEADS / N_KV_HEADS);
    let q_head = row * N_HEADS + head;
    let lane_start = slot_of(row, 0u) * SLOT_VEC4 + kv_head * HEAD_VEC4;
    let length = select(0u, batch.rows[row].position + 1u, is_computed(row));
    let share = (length + SPLITS - 1u) / SPLITS;
    let start = min(group.z * share, length);
    let end = min(start + share, length);
    let team = thread / HEAD_VEC4;
    let element = thread % HEAD_VEC4;

    var maximum = Tile(LOWEST);
    var total = Tile(0.0);
    var sums: TileInput;
    for (var chunk = start; chunk < end; chunk += CHUNK) {
        let count = min(CHUNK, end - chunk);
        var highest = maximum;
        for (var j = thread; j < count; j += THREADS) {
            let key = lane_start + (chunk + j) * SLOT_VEC4;
            var score = Tile(0.0);
            for (var i = 0u; i < HEAD_VEC4; i++) {
                score += tile_dot(vec4<f32>(keys[key + i]), load_tile(q_head, i));
            }
            score *= ATTENTION_SCALE;
            weights[j] = score;
            highest = max(highest, score);
        }
        statistics[thread] = highest;
        workgroupBarrier();

        for (var t = 0u; t < min(THREADS, count); t++) {
            highest = max(highest, statistics[t]);
        }
        for (var j = thread; j < count; j += THREADS) {
            weights[j] = exp(weights[j] - highest);
        }
        let shrink = exp(maximum - highest);
        maximum = highest;
        total *= shrink;
        sums = scale_rows(sums, shrink);
        workgroupBarrier();

        if (team < TEAMS) {
            for (var j = team; j < count; j += TEAMS) {
                let value = values[lane_start + (chunk + j) * SLOT_VEC4 + element];
                total += weights[j];
                sums += tile_outer(weights[j], vec4<f32>(value));
            }
        }
        workgroupBarrier();
    }

    statistics[thread] = total;
    parts[thread] = sums;
    workgroupBarrier();
    if (team > 0u) {
        return;
    }
    for (var t = 1u; t < TEAMS; t++) {
        total += statistics[t * HEAD_VEC4];
        sums += parts[t * HEAD_VEC4 + element];
    }
    for (var t = 0u; t < TILE; t++) {
        if (SPLITS == 1u) {
            attended[(q_head + t) * HEAD_VEC4 + element] = tile_row(sums, t) / tile_element(total, t);
        } else {
            let record = split_record(q_head + t, group.z);
            attended[record + element] = tile_row(sums, t);
            if (element == 0u) {
                let found = vec2(tile_element(maximum, t), tile_element(total, t));
                attended[record + HEAD_VEC4] = vec4(found, 0.0, 0.0);
            }
        }
    }
}
