//! Requests as they come in and replies as they go out.

pub mod caller;
pub mod client_address;
pub mod edge;
pub mod envelope;
mod pasted_code;
pub mod peer;
pub mod problem;
pub mod proxy_hints;
pub mod request_body;
pub mod request_id;
pub mod site;
