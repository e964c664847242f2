// A block is 32 consecutive values of one row of a weight matrix. Each storage format has a file
// in this folder with its own
//   load_block(k, row)    block k of a row, still packed
//   w0(block) .. w7(block)    its values, four at a time, as Real: f32, or f16 in kernels that
//                             multiply in it
// A kernel unpacks them one after the other as it uses them: 32 values at once would not fit the
// registers of many devices.
//
// The bytes lie block-major, in pieces of 16: piece p of block k of all rows, then the next piece.
// Neighbouring threads take neighbouring rows, so that a load is one coalesced run of 128-bit words.

@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
