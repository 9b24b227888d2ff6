//! What the binary does beside serving.

pub mod dev;
pub mod risk;
