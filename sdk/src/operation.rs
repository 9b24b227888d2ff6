//! The four operations, as the document lists them.

use std::fmt;

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// An operation of the API. Its identifier is the `operationId` of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Asks for a reset; the trader gets a code by e-mail.
    RequestReset,
    /// Fetches the trader's secret question.
    FetchQuestion,
    /// Trades the code for a token.
    RedeemCode,
    /// Sets the new password.
    SetPassword,
}

/// Whether a call may be repeated, as `x-autoshares-retry` of the document states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Always: the call changes nothing.
    Safe,
    /// Only when the first one provably never left: the call spends something.
    UnsentOnly,
}

pub(crate) struct Row {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    retry: Retry,
}

impl Operation {
    /// All of them, in the order of the flow.
    pub const ALL: [Operation; 4] =
        [Operation::RequestReset, Operation::FetchQuestion, Operation::RedeemCode, Operation::SetPassword];

    /// The `operationId`, which is also the name of the method on [`Client`](crate::Client).
    pub const fn id(self) -> &'static str {
        match self {
            Operation::RequestReset => "request_reset",
            Operation::FetchQuestion => "fetch_question",
            Operation::RedeemCode => "redeem_code",
            Operation::SetPassword => "set_password",
        }
    }

    /// The HTTP method, in capitals.
    pub fn method(self) -> &'static str {
        self.row().method
    }

    /// The path below the base URL, with `{version}` in place of the version.
    pub fn path_template(self) -> &'static str {
        self.row().path
    }

    /// Whether a call may be repeated.
    pub fn retry(self) -> Retry {
        self.row().retry
    }

    fn row(self) -> &'static Row {
        let row = OPERATIONS.iter().find(|row| row.id == self.id());
        row.expect("the build script wrote a row for each operation; a test asks for all four")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
