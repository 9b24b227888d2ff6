//! Calls any operation with values that are easy to search for ("canaries"), so that tests can prove that none of them gets out.

use autoshares_sdk::{Client, Error, Operation};

pub const KEY: &str = "canary-key-5c1d";
pub const LOGIN: &str = "canary.login@example.com";
pub const ANSWER: &str = "canary-answer-8d2e";
pub const CODE: &str = "741175";
pub const TOKEN: &str = "canary-token-bd26";
pub const PASSWORD: &str = "canary-password-19ab";

pub async fn call(client: &Client, operation: Operation) -> Result<(), Error> {
    match operation {
        Operation::RequestReset => client.request_reset(&LOGIN.into(), Some(&ANSWER.into())).await.map(drop),
        Operation::FetchQuestion => client.fetch_question(&LOGIN.into()).await.map(drop),
        Operation::RedeemCode => client.redeem_code(&CODE.into()).await.map(drop),
        Operation::SetPassword => client.set_password(&TOKEN.into(), &PASSWORD.into()).await.map(drop),
    }
}
