//! The replies to requests that end without an answer of Autoshares: a closed list of kinds, each with its status and title, and the
//! problem document (RFC 9457) that tells a client of one, in members that a client written for Autoshares can read too.

mod catalogue;
mod document;
mod upstream;
mod value;

pub use catalogue::{Blame, Facts, Kind};
pub use document::ProblemDocument;
pub use upstream::wait_from_retry_after;
pub use value::Problem;
