// Addresses in the KV cache. Keys and values have a buffer each, of vec4<Cached> (f32, or f16 where
// the cache is kept in it), in the order [layer, slot, KV head, element]; a stage of one layer binds
// that layer's part alone. Each of the SLOTS of a layer is a position of a lane, one lane after the other.

const SLOT_VEC4 = N_KV_HEADS * HEAD_DIM / 4u;
