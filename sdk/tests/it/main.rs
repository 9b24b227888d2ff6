//! The SDK against a sandbox, and against an upstream that is not the sandbox and knows nothing of this crate.

mod document;
mod environment;
mod rulings;
mod sandbox;
mod upstream;
mod wire;
