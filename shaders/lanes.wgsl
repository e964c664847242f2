// The sampling state of each lane, and which tokens it has seen: a bit for each.

struct Lane {
    // Distance of two logits in powers of two; 0 for greedy.
    steepness: f32,
    penalty: f32,
    inverse_penalty: f32,
    top_k: u32,
    // In parts of 65,536.
    top_p: u32,
    min_weight: u32,
    seed: u32,
    // Tokens that were drawn: the counter of the random numbers.
    step: u32,
    // Tokens that may still be drawn.
    left: u32,
}

const SEEN_WORDS = (VOCAB_SIZE + 31u) / 32u;

fn seen_word(lane: u32, token: u32) -> u32 {
    return lane * SEEN_WORDS + token / 32u;
}

// An integer that grows with the number; above all others for what is not a number.
fn logit_key(logit: f32) -> u32 {
    let bits = bitcast<u32>(logit);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return 0xffffffffu;
    }
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

// The better of two (key, token): the larger key, and of equals the lower token.
fn better(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
}
