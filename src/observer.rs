//! Progress of long work, and the way to stop it.

use async_trait::async_trait;
use std::ops::ControlFlow;

/// Watches long work: loading, prefill, generation, extraction.
///
/// The work waits for [`Observer::observe`], so an observer in a browser can let the event loop
/// run there; [`ControlFlow::Break`] stops the work before its next step.
#[async_trait(?Send)]
pub trait Observer<E> {
    /// Takes one event and says whether to go on.
    async fn observe(&mut self, event: E) -> ControlFlow<()>;
}

/// A closure is an observer that does not wait.
#[async_trait(?Send)]
impl<E: 'static, F: FnMut(E) -> ControlFlow<()>> Observer<E> for F {
    async fn observe(&mut self, event: E) -> ControlFlow<()> {
        self(event)
    }
}
