//! What steering does to answers, measured.
//!
//! In come [`Question`]s and [`Condition`]s (plain, with an offset only, prompted to think, steered, ...).
//! [`run`] has each question answered under each condition, the conditions being lanes of one
//! request, and hands out an [`Answer`] as soon as it is there, so that a caller can keep it and go
//! on later from what is kept. [`Report::new`] counts: how long answers are, how many show the
//! style, how many go round in circles, how many are right ([`grade`] says by which rules);
//! [`Report::table`] shows it, and natively `Report::plot`; the page draws for itself.
//! [`calibrate()`] finds the strength of a vector by the same measures.

pub mod calibrate;
pub mod condition;
pub mod grade;
pub mod marker;
#[cfg(not(target_arch = "wasm32"))]
mod plot;
pub mod question;
pub mod report;
mod run;
pub mod statistics;

pub use calibrate::{CalibrateOptions, CalibrateProgress, Calibration, calibrate};
pub use condition::{Condition, THINK_PROMPT};
pub use marker::Marker;
pub use question::Question;
pub use report::{Kinds, Report};
pub use run::{Answer, EvalProgress, run};
