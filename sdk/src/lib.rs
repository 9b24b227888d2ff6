#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod call;
mod client;
mod error;
mod operation;
mod outcome;
mod secret;

#[cfg(feature = "sandbox")]
pub mod sandbox;

/// What progenitor wrote from `openapi/autoshares.yaml`. Its types can print and its errors do, so nothing of it is public.
#[allow(unused_qualifications, missing_docs, dead_code, clippy::all, clippy::unwrap_used)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use client::{BuildError, BuildFault, BuildPart, Client, ClientBuilder};
pub use error::{Error, ErrorKind, Unreadable};
pub use operation::{Operation, Retry};
pub use outcome::{Accepted, ErrorCode, Refusal, RefusalShape, ResetRequested};
pub use secret::{
    AppKey, ConfirmationCode, InvalidAppKey, Login, Password, ResetToken, SecretAnswer, SecretQuestion,
};
