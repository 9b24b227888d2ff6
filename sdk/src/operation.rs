//! The four operations of the password-reset API. The build script takes their methods, paths and retry classes from the OpenAPI
//! document.

use std::fmt;

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// An operation of the password-reset API. `Display` prints its `operationId`, such as `request_reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Requests a reset; Autoshares e-mails the trader a confirmation code.
    RequestReset,
    /// Fetches the trader's secret question.
    FetchQuestion,
    /// Exchanges the confirmation code for a reset token.
    RedeemCode,
    /// Sets the new password with the reset token.
    SetPassword,
}

/// Whether a failed call may be sent again, as the OpenAPI document states it in `x-autoshares-retry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may always be sent again, because it changes nothing.
    Safe,
    /// It may be sent again only when Autoshares provably did not carry it out, because it sends an e-mail or spends a code or a
    /// token.
    UnsentOnly,
}

pub(crate) struct Row {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    retry: Retry,
}

impl Operation {
    /// All four operations, in the order in which a password reset uses them.
    pub const ALL: [Operation; 4] =
        [Operation::RequestReset, Operation::FetchQuestion, Operation::RedeemCode, Operation::SetPassword];

    /// The `operationId` of the OpenAPI document, which is also the name of the method on [`Client`](crate::Client).
    pub const fn id(self) -> &'static str {
        match self {
            Operation::RequestReset => "request_reset",
            Operation::FetchQuestion => "fetch_question",
            Operation::RedeemCode => "redeem_code",
            Operation::SetPassword => "set_password",
        }
    }

    /// The HTTP method in capitals, such as `POST`.
    pub fn method(self) -> &'static str {
        self.row().method
    }

    /// The path below the base URL, with `{version}` in place of the API version: `/v{version}/users/password/reset`.
    pub fn path_template(self) -> &'static str {
        self.row().path
    }

    /// Whether a failed call of this operation may be sent again.
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
