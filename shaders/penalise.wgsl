// penalise: makes tokens that a lane has seen less likely, and finds the best of each share of the
// vocabulary.
// Grid: (shares, rows).

@group(0) @binding(1) var<storage, read> lanes: array<Lane>;
@group(0) @binding(2) var<storage, read> seen: array<u32>;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
// (key, token) of [row, share].
@group(0) @binding(4) var<storage, read_write> best: array<vec2<u32>>;

@compute @workgroup_size(64)
fn penalise(@builtin(global_invocation_id) id: vec3<u32>) {
    let share = id.x;
    let row = id.y;
    if (!is_computed(row)) {
        return;
    }
    let lane = batch.rows[row].lane;
    let penalty = lanes[lane].penalty;
    let inverse = lanes[lane].inverse_penalty;
    var found = vec2(0u, 0u);
    for (var token = share; token < VOCAB_SIZE; token += SHARES) {
        let at = row * VOCAB_SIZE + token;
        var logit = logits[at];
        if (penalty != 1.0 && ((seen[seen_word(lane, token)] >> (token % 32u)) & 1u) == 1u) {
            logit *= select(penalty, inverse, logit > 0.0);
            logits[at] = logit;
        }
        found = better(found, vec2(logit_key(logit), token));
    }
    best[row * SHARES + share] = found;
}
