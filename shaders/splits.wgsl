// What attention leaves of each split of a sequence: a record for every query head, of its
// unnormalised values and then (maximum score, sum of weights, -, -).

const HEAD_VEC4 = HEAD_DIM / 4u;
// Below every score, and yet finite: differences of it are.
const LOWEST = -1e38;

fn split_record(head: u32, split: u32) -> u32 {
    return (head * SPLITS + split) * (HEAD_VEC4 + 1u);
}
