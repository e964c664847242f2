//! Clusters of slots: k-means (Lloyd 1982) on the values.

use crate::backend::Slot;

/// Rounds after which what has not settled is taken as it is.
const MAX_ROUNDS: usize = 100;

/// The members of the largest of `count` clusters; of the first, where several are as large. The
/// first centre is the first slot, each further one the slot that is farthest from those before, so
/// that the same slots give the same clusters.
pub(super) fn largest_cluster(slots: &[Slot], count: usize) -> Vec<&Slot> {
    let count = count.clamp(1, slots.len().max(1));
    let mut centres = first_centres(slots, count);
    let mut nearest = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let now: Vec<usize> = slots.iter().map(|slot| closest(&centres, slot).0).collect();
        if now == nearest {
            break;
        }
        nearest = now;
        for (cluster, centre) in centres.iter_mut().enumerate() {
            move_to_mean(centre, &members(slots, &nearest, cluster));
        }
    }
    let size = |cluster: &usize| members(slots, &nearest, *cluster).len();
    let largest = (0..count).rev().max_by_key(size).unwrap_or(0);
    members(slots, &nearest, largest)
}

fn members<'a>(slots: &'a [Slot], nearest: &[usize], cluster: usize) -> Vec<&'a Slot> {
    let in_cluster = |(slot, of): (&'a Slot, &usize)| (*of == cluster).then_some(slot);
    slots.iter().zip(nearest).filter_map(in_cluster).collect()
}

fn first_centres(slots: &[Slot], count: usize) -> Vec<Vec<f64>> {
    let point = |slot: &Slot| slot.values.iter().map(|x| f64::from(*x)).collect();
    let mut centres: Vec<Vec<f64>> = slots.iter().take(1).map(point).collect();
    while centres.len() < count {
        let distance = |slot: &&Slot| closest(&centres, slot).1;
        let farthest = slots
            .iter()
            .max_by(|a, b| distance(a).total_cmp(&distance(b)));
        let Some(farthest) = farthest else { break };
        centres.push(point(farthest));
    }
    centres
}

/// The number of the closest centre, and the square of the distance.
fn closest(centres: &[Vec<f64>], slot: &Slot) -> (usize, f64) {
    let distance = |centre: &Vec<f64>| -> f64 {
        let pairs = centre.iter().zip(&slot.values);
        pairs.map(|(a, b)| (a - f64::from(*b)).powi(2)).sum()
    };
    let distances = centres.iter().map(distance).enumerate();
    distances
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, 0.0))
}

fn move_to_mean(centre: &mut [f64], members: &[&Slot]) {
    if members.is_empty() {
        return;
    }
    for (i, centre) in centre.iter_mut().enumerate() {
        let sum: f64 = members.iter().map(|slot| f64::from(slot.values[i])).sum();
        *centre = sum / members.len() as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(x: f32, y: f32) -> Slot {
        Slot {
            keys: vec![0.0; 2],
            values: vec![x, y],
        }
    }

    #[test]
    fn the_larger_of_two_groups_is_found() {
        let slots = [
            slot(9.0, 9.1),
            slot(1.0, 0.0),
            slot(1.1, 0.1),
            slot(9.2, 9.0),
            slot(0.9, -0.1),
        ];
        let found = largest_cluster(&slots, 2);
        assert_eq!(found, [&slots[1], &slots[2], &slots[4]]);
    }

    #[test]
    fn one_cluster_holds_all_and_more_than_there_are_slots_hold_one_each() {
        let slots = [slot(1.0, 0.0), slot(2.0, 0.0), slot(4.0, 0.0)];
        assert_eq!(largest_cluster(&slots, 1).len(), 3);
        assert_eq!(largest_cluster(&slots, 0).len(), 3);
        assert_eq!(largest_cluster(&slots, 9), [&slots[0]]);
    }
}
