// copy_lane: copies the first positions of one lane's keys and values to another lane, so that a
// shared prompt is prefilled once. (A buffer cannot be copied onto itself by a copy command.)
// Grid: (vec4s of keys in one layer of the lane, layers).

struct Copy {
    source: u32,
    target_lane: u32,
    length: u32,
}

@group(0) @binding(0) var<uniform> lanes: Copy;
@group(0) @binding(1) var<storage, read_write> keys: array<vec4<Cached>>;
@group(0) @binding(2) var<storage, read_write> values: array<vec4<Cached>>;

@compute @workgroup_size(64)
fn copy_lane(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= lanes.length * SLOT_VEC4) {
        return;
    }
    let source = slot_address(id.y * LANES + lanes.source, 0u) + id.x;
    let destination = slot_address(id.y * LANES + lanes.target_lane, 0u) + id.x;
    keys[destination] = keys[source];
    values[destination] = values[source];
}
