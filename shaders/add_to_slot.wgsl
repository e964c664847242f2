// add_to_slot: cache steering. Adds a vector to the keys and values of one cached position, in
// every layer at once: the one write that the method consists of.
// Grid: (vec4s of keys in one slot over all layers).

@group(0) @binding(0) var<uniform> slot: u32;
@group(0) @binding(1) var<storage, read> delta_keys: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> delta_values: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> keys: array<vec4<Cached>>;
@group(0) @binding(4) var<storage, read_write> values: array<vec4<Cached>>;

@compute @workgroup_size(64)
fn add_to_slot(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= N_LAYERS * SLOT_VEC4) {
        return;
    }
    let layer = id.x / SLOT_VEC4;
    let at = (layer * SLOTS + slot) * SLOT_VEC4 + id.x % SLOT_VEC4;
    keys[at] = vec4<Cached>(vec4<f32>(keys[at]) + delta_keys[id.x]);
    values[at] = vec4<Cached>(vec4<f32>(values[at]) + delta_values[id.x]);
}
