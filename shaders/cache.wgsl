// Addresses in the KV cache. Keys and values have a buffer each, of vec4<Cached> (f32, or f16 where
// the cache is kept in it), in the order [layer, lane, position, KV head, element]; a stage of one
// layer binds that layer's part alone.

const SLOT_VEC4 = N_KV_HEADS * HEAD_DIM / 4u;

fn slot_address(lane: u32, position: u32) -> u32 {
    return (lane * CAPACITY + position) * SLOT_VEC4;
}
