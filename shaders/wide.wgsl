// Unsigned 64-bit integers as (low, high), for sums of weights.

fn wide_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn wide_less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn wide_subtract(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

// a * parts / 65536, rounded down, for parts up to 65536.
fn wide_fraction(a: vec2<u32>, parts: u32) -> vec2<u32> {
    let high = a.y * parts;
    let low = vec2(((a.x & 0xffffu) * parts) >> 16u, 0u);
    let middle = vec2((a.x >> 16u) * parts, 0u);
    return wide_add(wide_add(low, middle), vec2(high << 16u, high >> 16u));
}

// The product of two numbers below 2^32.
fn wide_multiply(a: u32, b: u32) -> vec2<u32> {
    let cross = vec2((a >> 16u) * (b & 0xffffu), (a & 0xffffu) * (b >> 16u));
    let outer = vec2((a & 0xffffu) * (b & 0xffffu), (a >> 16u) * (b >> 16u));
    let sum = wide_add(outer, vec2(cross.x << 16u, cross.x >> 16u));
    return wide_add(sum, vec2(cross.y << 16u, cross.y >> 16u));
}
