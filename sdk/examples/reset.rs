//! Walks a password reset from a terminal: `cargo run --package autoshares-sdk --example reset --features sandbox`.
//!
//! With `AUTOSHARES_BASE_URL` and an application key in the environment it calls that Autoshares. Without them it starts a sandbox and
//! prints the e-mails that the sandbox would have sent.

use std::{
    env,
    error::Error,
    io::{self, Write},
    iter::successors,
    process::ExitCode,
};

use autoshares_sdk::{Client, ErrorKind, Login, ResetRequested, sandbox::Sandbox};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `Display` of an error is its own part; the causes say the rest.
            let causes = successors(error.source(), |cause| (*cause).source());
            eprintln!("{}", causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}")));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let sandbox =
        if env::var_os("AUTOSHARES_BASE_URL").is_none() { Some(Sandbox::start().await?) } else { None };
    let client = match &sandbox {
        Some(sandbox) => sandbox.client(),
        None => Client::from_env()?,
    };
    if sandbox.is_some() {
        println!("sandbox: traders robert.zak (answer Peterson) and anna.lee");
    }

    let login = Login::new(prompt("Login")?);
    let mut asked = client.request_reset(&login, None).await?.into_inner();
    while let ResetRequested::AnswerNeeded(_) = asked {
        let question = client.fetch_question(&login).await?.into_inner();
        let question =
            question.as_ref().map_or("Answer to the secret question", |question| question.expose());
        asked = client.request_reset(&login, Some(&prompt(question)?.into())).await?.into_inner();
    }
    if let Some(mail) = sandbox.as_ref().and_then(|sandbox| sandbox.outbox().pop()) {
        println!("mail to {}: your code is {}", mail.to, mail.code);
    }

    let token = loop {
        match client.redeem_code(&prompt("Code from the e-mail")?.into()).await {
            Ok(token) => break token,
            Err(error) if matches!(error.kind(), ErrorKind::Refused(_)) => println!("that is not the code"),
            Err(error) => return Err(error.into()),
        }
    };
    client.set_password(&token, &prompt("New password")?.into()).await?;
    println!("the password is set");
    Ok(())
}

fn prompt(what: &str) -> io::Result<String> {
    print!("{what}: ");
    io::stdout().flush()?;
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
