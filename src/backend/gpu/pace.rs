//! How many decode steps to have on their way.
//!
//! Too few, and the GPU waits for the CPU to read tokens: a browser takes from a fraction of a
//! millisecond to 100 ms (Firefox) to complete a map, whatever the GPU does. Too many, and a stop
//! takes long. So the depth starts at two steps and is doubled for as long as that makes the rate
//! of tokens clearly higher, but not where the round trip is long already: a slow adapter is busy
//! with two.

use web_time::Duration;

/// Steps of one submit at most.
pub(super) const MAX_BATCH_STEPS: usize = 16;

const LEAST_DEPTH: usize = 2;
const MOST_DEPTH: usize = 256;

/// A user's stop waits for the steps that are on their way, so for about this long.
const LONGEST_ROUND_TRIP: Duration = Duration::from_millis(150);

/// What doubling has to gain to be kept.
const WORTHWHILE: f64 = 1.1;

/// Submits in flight at full depth: so many that one is always being computed.
const SUBMITS: usize = 4;

/// The depth, and the search for it.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    depth: usize,
    settled: bool,
    /// Tokens per second at half the depth.
    last_rate: f64,
    round: Option<Round>,
    /// Steps of the next submit: the first ones are short, so that the first token comes soon.
    ramp: usize,
}

/// Steps whose rate is measured.
#[derive(Debug, Clone)]
struct Round {
    start: Duration,
    steps: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            depth: LEAST_DEPTH,
            settled: false,
            last_rate: 0.0,
            round: None,
            ramp: 1,
        }
    }
}

impl Pace {
    /// For another decoding: from half the depth, which is doubled again if that is still worth
    /// it. What one answer was slowed by does not stay with all later ones.
    pub fn restarted(self) -> Self {
        Self {
            depth: (self.depth / 2).max(LEAST_DEPTH),
            ..Self::default()
        }
    }

    /// Steps of the next submit.
    pub fn batch_steps(&self) -> usize {
        (self.depth / SUBMITS)
            .clamp(1, MAX_BATCH_STEPS)
            .min(self.ramp)
    }

    /// Whether another submit may follow those that are on their way.
    pub fn wants_more(&self, steps_in_flight: usize) -> bool {
        steps_in_flight + self.batch_steps() <= self.depth
    }

    pub fn submitted(&mut self) {
        self.ramp = (2 * self.ramp).min(MAX_BATCH_STEPS);
    }

    /// Learns from a submit of `steps` that came back at `now`, after a `round_trip`.
    pub fn came_back(&mut self, steps: usize, round_trip: Duration, now: Duration) {
        if self.settled {
            return;
        }
        let Some(round) = &mut self.round else {
            self.round = Some(Round {
                start: now,
                steps: 0,
            });
            return;
        };
        round.steps += steps;
        // Completions may come in bursts of a whole depth; a few of them make a rate.
        if round.steps < 3 * self.depth {
            return;
        }
        let rate = round.steps as f64 / now.saturating_sub(round.start).as_secs_f64();
        self.round = None;
        if !rate.is_finite() {
            // A coarse clock has not moved.
            return;
        }
        if rate < WORTHWHILE * self.last_rate {
            self.depth = (self.depth / 2).max(LEAST_DEPTH);
            self.settled = true;
        } else if round_trip > LONGEST_ROUND_TRIP || self.depth >= MOST_DEPTH {
            self.settled = true;
        } else {
            self.last_rate = rate;
            self.depth *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A device that takes `step` for a step, one after the other, and whose results are seen
    /// `latency` later, at the ticks of a timer. Gives steps per second once the pace has settled.
    fn run(step_us: u64, latency_us: u64, tick_us: u64) -> (f64, Pace) {
        let mut pace = Pace::default();
        let (mut now, mut busy_until) = (0u64, 0u64);
        let mut flying: VecDeque<(usize, u64, u64)> = VecDeque::new();
        let (mut done, mut measured_from) = (0, None);
        for _ in 0..4000 {
            while pace.wants_more(flying.iter().map(|f| f.0).sum()) {
                let steps = pace.batch_steps();
                pace.submitted();
                busy_until = busy_until.max(now) + steps as u64 * step_us;
                let seen = (busy_until + latency_us).div_ceil(tick_us) * tick_us;
                flying.push_back((steps, now, seen));
            }
            let (steps, submitted, seen) = flying.pop_front().expect("something to wait for");
            now = now.max(seen);
            pace.came_back(
                steps,
                Duration::from_micros(now - submitted),
                Duration::from_micros(now),
            );
            if pace.settled {
                match measured_from {
                    None => measured_from = Some(now),
                    Some(_) => done += steps,
                }
            }
        }
        let start = measured_from.expect("the pace settles");
        (done as f64 * 1e6 / (now - start) as f64, pace)
    }

    #[test]
    fn a_quick_browser_stays_close_to_the_gpu() {
        let (rate, pace) = run(1000, 200, 1);
        assert!(rate > 950.0, "{rate}");
        assert!(pace.depth <= 8, "{pace:?}");
    }

    #[test]
    fn a_browser_with_a_slow_timer_is_not_slowed() {
        let (rate, pace) = run(1000, 0, 100_000);
        assert!(rate > 850.0, "{rate} {pace:?}");
        let (rate, pace) = run(4000, 0, 100_000);
        assert!(rate > 220.0, "{rate} {pace:?}");
    }

    #[test]
    fn a_slow_adapter_has_two_steps_on_their_way() {
        let (rate, pace) = run(500_000, 200, 1);
        assert!(rate > 1.9, "{rate}");
        assert_eq!(pace.depth, LEAST_DEPTH);
    }

    #[test]
    fn the_first_submits_are_short() {
        let mut pace = Pace {
            depth: 64,
            settled: true,
            ..Pace::default()
        };
        let steps = [0; 6].map(|_| {
            let steps = pace.batch_steps();
            pace.submitted();
            steps
        });
        assert_eq!(steps, [1, 2, 4, 8, 16, 16]);
    }
}
