//! Gives a trader who needs longer more time: the flow lasts for its whole lifetime again. Autoshares is not asked; how long its code and its token
//! are good, it alone decides.

use super::{HandleChange, Steps, refusal::count_exhausted};
use crate::{
    guard::{FlowFault, Refused},
    http::caller::Caller,
};

/// Renews the first of the client's flows that stands. The client gets its handle anew, for the browser would drop the old cookie before the
/// flow ends. A flow that was renewed too often goes on until it ends.
///
/// # Errors
///
/// [`Refused`] when none of the flows stands, or the store is away.
pub async fn renew_flow(steps: &Steps, caller: &Caller) -> Result<HandleChange, Refused> {
    for handle in &caller.handles {
        match steps.guard.renew_flow(handle).await {
            Ok(()) => return Ok(HandleChange::Given(steps.seals.seal(handle))),
            Err(Refused::Flow(FlowFault::Gone)) => {}
            Err(Refused::Flow(FlowFault::UsedUp { flow, counter })) => {
                count_exhausted(steps, caller, Some(flow), (counter, "refused", "flow"));
                return Ok(HandleChange::Kept);
            }
            Err(refused) => return Err(refused),
        }
    }
    Err(Refused::Flow(FlowFault::Gone))
}
