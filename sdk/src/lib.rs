#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod body;
mod builder;
mod call;
mod client;
mod environment;
mod error;
mod key;
mod operation;
mod outcome;
mod quote;
mod refusal;
mod resolver;
mod retry;
mod secret;
mod tls;
mod trace;

#[cfg(feature = "sandbox")]
pub mod sandbox;

/// The client that progenitor generates from `openapi/autoshares.yaml` in the build script. It stays private: its types can be
/// printed, and its errors print reply bodies and URLs, which hold logins.
#[allow(unused_qualifications, missing_docs, dead_code, clippy::all, clippy::unwrap_used)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use builder::{BuildError, BuildFault, BuildPart, ClientBuilder};
pub use client::{Answered, Client};
pub use error::{Error, ErrorKind, Unreadable};
pub use key::{AppKeySource, KeyError, Refresh};
pub use operation::{Operation, Retry};
pub use outcome::{Accepted, ResetRequested};
#[doc(hidden)]
pub use quote::quotes;
pub use refusal::{ErrorCode, Refusal, RefusalShape};
pub use retry::RetryPolicy;
pub use secret::{
    AppKey, ConfirmationCode, InvalidAppKey, Login, Password, ResetToken, SecretAnswer, SecretQuestion,
};
