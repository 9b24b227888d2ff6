//! Does the work of many requests stage by stage.
//!
//! A request runs through more code than the nearest cache of the processor holds, so that the beginning has to be fetched anew for the next
//! request. When many requests are there, it is cheaper to parse all of them, then to work on all of them, and then to write all replies: a fifth
//! of the processor time goes (`docs/performance.md`). So each request lets all others that are ready go first, before it begins and before its
//! reply is written. One that is alone waits for nobody.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

/// After how many tasks the runtime asks the system what has come. After 61, as tokio does by itself, new requests would mix with those in later
/// stages: each takes some seven turns, its connection to Autoshares included.
pub const EVENT_INTERVAL: u32 = 256;

pin_project! {
    /// A future that waits for the next turn of its task before it begins, and again before it tells its output.
    pub struct InTurns<F: Future> {
        // None when it is done, so that its memory is given back while the processor still has it at hand.
        #[pin]
        future: Option<F>,
        has_begun: bool,
        output: Option<F::Output>,
    }
}

impl<F: Future> InTurns<F> {
    pub fn new(future: F) -> Self {
        Self { future: Some(future), has_begun: false, output: None }
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(output) = this.output.take() {
            return Poll::Ready(output);
        }
        if std::mem::replace(this.has_begun, true) {
            let future = this.future.as_mut().as_pin_mut().expect("no future is polled after its end");
            *this.output = Some(ready!(future.poll(context)));
            this.future.set(None);
        }
        // The scheduler of one thread puts the task behind those that are ready.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn all_begin_before_one_goes_on_and_all_are_done_before_one_tells() {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let tasks = ["a", "b"].map(|name| {
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let tell = |what| told.lock().unwrap().push(format!("{name} {what}"));
                tell("comes");
                InTurns::new(async { tell("works") }).await;
                tell("is told");
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        let order = ["a comes", "b comes", "a works", "b works", "a is told", "b is told"];
        assert_eq!(*told.lock().unwrap(), order);
    }
}
