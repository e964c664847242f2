//! An observer that tells a JavaScript callback, and lets the event loop run.

use crate::observer::Observer;
use async_trait::async_trait;
use futures_channel::oneshot;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{MessageChannel, MessagePort};
use web_time::{Duration, Instant};

/// Gives the event loop its turn.
///
/// A promise that is already resolved does not: the engine would go on before any message or click
/// is heard. A message to oneself does, and is not slowed down as nested timers are.
pub(super) struct EventLoop {
    port: MessagePort,
    echo: MessagePort,
    waiting: Rc<RefCell<Option<oneshot::Sender<()>>>>,
    _on_message: Closure<dyn FnMut()>,
}

impl EventLoop {
    pub(super) fn new() -> Result<Self, JsValue> {
        let channel = MessageChannel::new()?;
        let waiting: Rc<RefCell<Option<oneshot::Sender<()>>>> = Rc::default();
        let woken = waiting.clone();
        let on_message = Closure::<dyn FnMut()>::new(move || {
            if let Some(sender) = woken.borrow_mut().take() {
                // Fails where the work was dropped meanwhile, and nobody waits.
                let _ = sender.send(());
            }
        });
        let echo = channel.port2();
        echo.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Ok(Self {
            port: channel.port1(),
            echo,
            waiting,
            _on_message: on_message,
        })
    }

    /// Returns after the tasks that are queued now.
    async fn turn(&self) {
        let (sender, receiver) = oneshot::channel();
        self.waiting.replace(Some(sender));
        if self.port.post_message(&JsValue::UNDEFINED).is_ok() {
            // A dropped sender means that a later turn took over, which is as good.
            let _ = receiver.await;
        }
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.echo.set_onmessage(None);
        self.port.close();
        self.echo.close();
    }
}

/// Tells `callback` of each event and breaks when `stop` is set.
pub(super) struct JsObserver<'a> {
    pub callback: Option<&'a js_sys::Function>,
    pub stop: Rc<Cell<bool>>,
    pub event_loop: &'a EventLoop,
    /// Events that follow one that was told sooner than this are not told.
    pub interval: Duration,
    pub last: Option<Instant>,
}

impl<'a> JsObserver<'a> {
    /// Calls back with one value. A callback that throws stops the work.
    pub(super) fn tell(&self, event: &impl Serialize) {
        let Some(callback) = self.callback else {
            return;
        };
        let told = serde_wasm_bindgen::to_value(event)
            .map_err(JsValue::from)
            .and_then(|event| callback.call1(&JsValue::NULL, &event));
        if let Err(thrown) = told {
            web_sys::console::error_2(&"the callback failed, so the work stops:".into(), &thrown);
            self.stop.set(true);
        }
    }

    /// Lets the event loop run, and says whether the work is to go on.
    pub(super) async fn listen(&self) -> ControlFlow<()> {
        self.event_loop.turn().await;
        self.answer()
    }

    fn answer(&self) -> ControlFlow<()> {
        if self.stop.get() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Whether an event that comes now is to be told.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now - last >= self.interval);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[async_trait(?Send)]
impl<E: Serialize + 'static> Observer<E> for JsObserver<'_> {
    async fn observe(&mut self, event: E) -> ControlFlow<()> {
        if self.is_due() {
            self.tell(&event);
            return self.listen().await;
        }
        self.answer()
    }
}
