// sample: from a row's logits to its lane's next token, which becomes the row's next input.
//
// The arithmetic is that of src/backend/cpu/sample.rs, where it is explained. A workgroup samples
// one row. Thread t owns tokens t, t + 256, t + 512, ...: "in the order of drawing" means thread
// by thread. Top-k and top-p ask for the best tokens that together reach a target; they are found
// without sorting, by narrowing the key of the last one down, 8 bits in each of 4 rounds.
// Grid: (1, rows).

struct DecodeBatch {
    rows: array<Row, MAX_ROWS>,
    row_count: u32,
    active_count: atomic<u32>,
}

struct EndTokens {
    count: u32,
    tokens: array<u32, MAX_END_TOKENS>,
}

@group(0) @binding(0) var<storage, read_write> batch: DecodeBatch;
@group(0) @binding(1) var<storage, read_write> lanes: array<Lane>;
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
@group(0) @binding(4) var<storage, read> best: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read> end: EndTokens;
// Tokens that were sampled since the CPU took the last ones: how many of each row, then
// [step, row], each token plus one.
@group(0) @binding(6) var<storage, read_write> sampled: array<u32>;

const NOT_A_NUMBER = 0xffffffffu;
// The key of infinity; that of minus infinity is its complement.
const INFINITE = 0xff800000u;

const IDLE = 0u;
const GREEDY = 1u;
const DRAW = 2u;

// What all threads have to agree on before they take a branch with barriers in it.
var<workgroup> flag: u32;
var<workgroup> chosen: u32;
var<workgroup> pairs: array<vec2<u32>, SAMPLE_THREADS>;
var<workgroup> groups: array<vec2<u32>, 16>;
// Sums of each digit's values, in two halves of 12 bits that cannot overflow.
var<workgroup> low: array<atomic<u32>, 256>;
var<workgroup> high: array<atomic<u32>, 256>;
var<workgroup> digit: u32;
var<workgroup> above: vec2<u32>;

// What is left of the tail: tokens above a key, and some of those that are equal to it.
struct Cut {
    key: u32,
    // How many of its own tokens with that key this thread keeps.
    ties: u32,
}

fn best_of_all(own: vec2<u32>, thread: u32) -> vec2<u32> {
    pairs[thread] = own;
    workgroupBarrier();
    if (thread < 16u) {
        var found = pairs[thread * 16u];
        for (var i = 1u; i < 16u; i++) {
            found = better(found, pairs[thread * 16u + i]);
        }
        groups[thread] = found;
    }
    workgroupBarrier();
    var found = groups[0];
    for (var i = 1u; i < 16u; i++) {
        found = better(found, groups[i]);
    }
    workgroupBarrier();
    return found;
}

struct Sums {
    // Of the threads before this one.
    before: vec2<u32>,
    all: vec2<u32>,
}

fn sum_of_all(own: vec2<u32>, thread: u32) -> Sums {
    pairs[thread] = own;
    workgroupBarrier();
    if (thread < 16u) {
        var sum = vec2(0u, 0u);
        for (var i = 0u; i < 16u; i++) {
            sum = wide_add(sum, pairs[thread * 16u + i]);
        }
        groups[thread] = sum;
    }
    workgroupBarrier();
    var sums = Sums(vec2(0u, 0u), vec2(0u, 0u));
    for (var i = 0u; i < 16u; i++) {
        if (i < thread / 16u) {
            sums.before = wide_add(sums.before, groups[i]);
        }
        sums.all = wide_add(sums.all, groups[i]);
    }
    for (var i = thread / 16u * 16u; i < thread; i++) {
        sums.before = wide_add(sums.before, pairs[i]);
    }
    workgroupBarrier();
    return sums;
}

// 2^24 * 2^-distance.
fn weight_of(distance: f32) -> u32 {
    if (!(distance < 25.0)) {
        return 0u;
    }
    let fixed = u32(distance * 65536.0);
    let part = fixed & 0xffffu;
    var power = 3487u - ((part * 448u) >> 16u);
    power = 15691u - ((part * power) >> 16u);
    power = 45420u - ((part * power) >> 16u);
    power = 65536u - ((part * power) >> 16u);
    return (power << 8u) >> (fixed >> 16u);
}

// The weight of a token, or 0 where it was cut. A thread asks in the order of its tokens and
// counts the ties that it has met.
fn kept_weight(logit: f32, top: f32, lane: Lane, cut: Cut, ties: ptr<function, u32>) -> u32 {
    let weight = weight_of((top - logit) * lane.steepness);
    let key = logit_key(logit);
    if (weight < lane.min_weight || key < cut.key) {
        return 0u;
    }
    if (key == cut.key) {
        *ties += 1u;
        return select(0u, weight, *ties <= cut.ties);
    }
    return weight;
}

// The cut that leaves the fewest of the best tokens whose values reach the target, which is no more
// than the values of all. The value of a token is 1, or its weight. All threads come here together.
fn cut_at(
    reach: vec2<u32>,
    by_weight: bool,
    row: u32,
    thread: u32,
    top: f32,
    lane: Lane,
    cut: Cut,
) -> Cut {
    var left = reach;
    var prefix = 0u;
    for (var round = 0u; round < 4u; round++) {
        let shift = 24u - 8u * round;
        atomicStore(&low[thread], 0u);
        atomicStore(&high[thread], 0u);
        workgroupBarrier();
        var ties = 0u;
        for (var token = thread; token < VOCAB_SIZE; token += SAMPLE_THREADS) {
            let logit = logits[row * VOCAB_SIZE + token];
            let weight = kept_weight(logit, top, lane, cut, &ties);
            let key = logit_key(logit);
            if (weight > 0u && (round == 0u || (key >> (shift + 8u)) == prefix)) {
                let value = select(1u, weight, by_weight);
                atomicAdd(&low[(key >> shift) & 255u], value & 0xfffu);
                atomicAdd(&high[(key >> shift) & 255u], value >> 12u);
            }
        }
        workgroupBarrier();
        // Thread t looks at the digit 255 - t: the larger ones come first.
        let own_high = atomicLoad(&high[255u - thread]);
        let own = wide_add(
            vec2(atomicLoad(&low[255u - thread]), 0u),
            vec2(own_high << 12u, own_high >> 20u),
        );
        let sums = sum_of_all(own, thread);
        if (wide_less(sums.before, left) && !wide_less(wide_add(sums.before, own), left)) {
            digit = 255u - thread;
            above = sums.before;
        }
        workgroupBarrier();
        prefix = (prefix << 8u) | digit;
        left = wide_subtract(left, above);
    }
    // Of the tokens with exactly this key, as many as it takes are kept, in the order of drawing.
    var ties = 0u;
    var own_ties = 0u;
    var value = 1u;
    for (var token = thread; token < VOCAB_SIZE; token += SAMPLE_THREADS) {
        let logit = logits[row * VOCAB_SIZE + token];
        let weight = kept_weight(logit, top, lane, cut, &ties);
        if (weight > 0u && logit_key(logit) == prefix) {
            own_ties += 1u;
            value = select(1u, weight, by_weight);
        }
    }
    let before = sum_of_all(vec2(own_ties, 0u), thread).before.x;
    var kept = 0u;
    while (kept < own_ties && wide_less(wide_multiply(before + kept, value), left)) {
        kept += 1u;
    }
    return Cut(prefix, kept);
}

// The weights of this thread's tokens together, and how many they are.
fn own_mass(row: u32, thread: u32, top: f32, lane: Lane, cut: Cut) -> vec3<u32> {
    var mass = vec2(0u, 0u);
    var count = 0u;
    var ties = 0u;
    for (var token = thread; token < VOCAB_SIZE; token += SAMPLE_THREADS) {
        let weight = kept_weight(logits[row * VOCAB_SIZE + token], top, lane, cut, &ties);
        mass = wide_add(mass, vec2(weight, 0u));
        count += min(weight, 1u);
    }
    return vec3(mass, count);
}

fn pcg(input: u32) -> u32 {
    let state = input * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// Draws a token and leaves it in `chosen`. All threads come here together.
fn draw(row: u32, thread: u32, top: f32, lane: Lane) {
    var cut = Cut(0u, 0u);
    let count = sum_of_all(vec2(own_mass(row, thread, top, lane, cut).z, 0u), thread).all.x;
    if (thread == 0u) {
        flag = u32(lane.top_k < count);
    }
    if (workgroupUniformLoad(&flag) == 1u) {
        cut = cut_at(vec2(lane.top_k, 0u), false, row, thread, top, lane, cut);
    }
    if (thread == 0u) {
        flag = u32(lane.top_p < 65536u);
    }
    if (workgroupUniformLoad(&flag) == 1u) {
        let mass = sum_of_all(own_mass(row, thread, top, lane, cut).xy, thread).all;
        cut = cut_at(wide_fraction(mass, lane.top_p), true, row, thread, top, lane, cut);
    }
    let mass = sum_of_all(own_mass(row, thread, top, lane, cut).xy, thread);
    let random = pcg(lane.step + pcg(lane.seed));
    let fine = wide_fraction(mass.all, random & 0xffffu);
    let point = wide_add(
        wide_fraction(mass.all, random >> 16u),
        vec2((fine.x >> 16u) | (fine.y << 16u), fine.y >> 16u),
    );
    var sum = mass.before;
    var ties = 0u;
    for (var token = thread; token < VOCAB_SIZE; token += SAMPLE_THREADS) {
        let weight = kept_weight(logits[row * VOCAB_SIZE + token], top, lane, cut, &ties);
        let next = wide_add(sum, vec2(weight, 0u));
        if (!wide_less(point, sum) && wide_less(point, next)) {
            chosen = token;
        }
        sum = next;
    }
}

// Makes the chosen token the row's next input, unless it ends the answer.
fn advance(row: u32, lane: u32) {
    let token = chosen;
    seen[seen_word(lane, token)] |= 1u << (token % 32u);
    batch.rows[row].token = token;
    batch.rows[row].position += 1u;
    lanes[lane].step += 1u;
    lanes[lane].left -= 1u;
    var ends = lanes[lane].left == 0u;
    for (var i = 0u; i < end.count; i++) {
        ends |= token == end.tokens[i];
    }
    if (ends) {
        stop(row);
    }
}

fn stop(row: u32) {
    batch.rows[row].is_active = 0u;
    atomicSub(&batch.active_count, 1u);
}

@compute @workgroup_size(SAMPLE_THREADS)
fn sample(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y;
    let lane = lanes[batch.rows[row].lane];
    if (thread == 0u) {
        flag = select(DRAW, GREEDY, lane.steepness == 0.0);
        if (row >= batch.row_count || batch.rows[row].is_active == 0u) {
            flag = IDLE;
        }
    }
    let mode = workgroupUniformLoad(&flag);
    if (mode == IDLE) {
        return;
    }
    var found = vec2(0u, 0u);
    for (var share = thread; share < SHARES; share += SAMPLE_THREADS) {
        found = better(found, best[row * SHARES + share]);
    }
    found = best_of_all(found, thread);
    if (thread == 0u) {
        chosen = found.y;
    }
    if (mode == DRAW) {
        draw(row, thread, logits[row * VOCAB_SIZE + found.y], lane);
    }
    workgroupBarrier();
    if (thread == 0u) {
        let step = sampled[row];
        sampled[row] = step + 1u;
        let at = (step + 1u) * DECODE_ROWS + row;
        if (found.x >= INFINITE || found.x <= ~INFINITE) {
            sampled[at] = NOT_A_NUMBER;
            stop(row);
        } else {
            sampled[at] = chosen + 1u;
            advance(row, batch.rows[row].lane);
        }
    }
}
