// copy_slots: copies positions of the KV cache to another place: a lane's beginning to another lane,
// so that a shared prompt is prefilled once, or a slot that is about to be steered.
// (A buffer cannot be copied onto itself by a copy command.)
// Grid: (vec4s of keys in one layer of the positions, layers).

struct Copy {
    source_slot: u32,
    target_slot: u32,
    length: u32,
}

@group(0) @binding(0) var<uniform> copy: Copy;
@group(0) @binding(1) var<storage, read_write> keys: array<vec4<Cached>>;
@group(0) @binding(2) var<storage, read_write> values: array<vec4<Cached>>;

@compute @workgroup_size(64)
fn copy_slots(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= copy.length * SLOT_VEC4) {
        return;
    }
    let layer = id.y * SLOTS;
    let source = (layer + copy.source_slot) * SLOT_VEC4 + id.x;
    let destination = (layer + copy.target_slot) * SLOT_VEC4 + id.x;
    keys[destination] = keys[source];
    values[destination] = values[source];
}
