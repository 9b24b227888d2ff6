//! `flow.*`: how a code is bound to the login it was sent to, and what strangers may learn.

use std::{fs, str::FromStr, sync::Arc, time::Duration};

use super::{
    limits,
    reader::{Reader, duration},
    setting::settings,
    store,
};
use crate::flow::Secrets;

/// How a code is bound to the login it was sent to, and what strangers may learn.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Whether a client must send the handle of its flow. `required` unless set: Autoshares takes a code without a login,
    /// so a guess outside any flow could hit any live code.
    pub binding: Binding,
    /// `uniform` unless set, for Autoshares' own answers tell which logins exist.
    pub answers: Answers,
    /// Which share of the unknown logins is asked a decoy question, from 0 to 1. A share that differs from that of the
    /// known logins reveals decoys by their number, so the operator should set the share of known logins that have a question.
    pub decoy_share: f64,
    /// The questions that decoys have. No list ships with the program, for strangers would know it.
    pub decoy_questions: Arc<[String]>,
    /// The shortest time that an answer takes where its time could tell which logins exist; a longer one takes a multiple.
    /// Autoshares may send a mail before it answers, which takes longer than 100 ms; the default leaves room above that.
    pub floor: Duration,
    /// How long a flow lasts after its last step 1 or accepted code. Short, for a stolen handle works as long; and never longer than a
    /// code is assumed to live, for a later code would not work anyway. Unless set, ten minutes or the life of a code if that is shorter.
    pub lifetime: Duration,
    /// Handles, tokens and pseudonyms are made with these. Random at each start unless set, which is safe for one process
    /// and ends its flows at a restart; with Redis a file is required, for the keys of all gateways must be the same.
    pub keys: Secrets,
    /// Whether tokens that this gateway did not issue are forwarded. Not unless set, for strangers could try some out.
    pub foreign_tokens: bool,
}

/// How the gateway treats a client that sends no handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Steps 2 to 4 are refused.
    Required,
    /// The client may redeem codes, and its guesses are booked in a risk ledger of their own.
    Prefer,
    /// The client is served like any other; for migration.
    Off,
}

/// The things that clients may learn from answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Nothing about which logins exist, beyond which of them have a secret question.
    Uniform,
    /// Everything that Autoshares says.
    Faithful,
    /// As with `Uniform`, and a share of the unknown logins seems to have a secret question.
    Decoy,
}

settings! {
    BINDING: "flow.binding", "GATEWAY_FLOW_BINDING",
        "`required`, `prefer` or `off`", "required",
        "a client without a handle may not go on, for its guess could hit any live code. `prefer` lets it guess from a risk ledger of its own, `off` serves it like any other client: both only while clients are brought over";
    ANSWERS: "flow.answers", "GATEWAY_FLOW_ANSWERS",
        "`uniform`, `faithful` or `decoy`", "uniform",
        "replies do not reveal whether a login without a secret question exists. `decoy` also asks some unknown logins a question; `faithful` relays everything, ignores `flow.floor`, and is not for the public internet";
    DECOY_SHARE: "flow.decoy_share", "GATEWAY_FLOW_DECOY_SHARE",
        "a share from `0` to `1`: as many of the unknown logins as of the known ones should have a question", "0.5",
        "which share of the unknown logins is asked, with `decoy`; set the share of your traders who have a question";
    DECOY_QUESTIONS_FILE: "flow.decoy_questions_file", "GATEWAY_FLOW_DECOY_QUESTIONS_FILE",
        "a file of questions such as your traders choose, one on each line, at least two", "none",
        "required with `decoy`. A file of questions such as your traders choose, one on each line: at least two, for strangers know any list that ships with a program", file;
    FLOOR: "flow.floor", "GATEWAY_FLOW_FLOOR",
        "a duration up to `10s`, such as `500ms`; `0s` only for a benchmark", "500ms",
        "step 1 is answered after this time, whether or not Autoshares has answered; refusals of codes take this long, or two or four times as long. Keep it above the time that Autoshares takes to ask for a secret answer; `0s` answers as soon as there is an answer and reveals logins, for a benchmark only";
    LIFETIME: "flow.lifetime", "GATEWAY_FLOW_LIFETIME",
        "a duration from `1m` up to `limits.code_lifetime`, such as `10m`", "10m",
        "how long a flow lasts after its last step 1 or accepted code, or after a trader asked the hosted page for more time (up to ten times); short, for a stolen handle works as long; from `1m` up to `limits.code_lifetime`";
    KEYS_FILE: "flow.keys_file", "GATEWAY_FLOW_KEYS_FILE",
        "a file made by `autoshares-gateway keygen`", "random at each start",
        "required with Redis, for all gateways need the same keys; `autoshares-gateway keygen` prints a file", file;
    FOREIGN_TOKENS: "flow.foreign_tokens", "GATEWAY_FLOW_FOREIGN_TOKENS",
        "`true` or `false`: whether tokens that this gateway did not issue are passed on", "false",
        "`true` forwards tokens that the gateway did not issue, such as those for expired passwords, and lets strangers try some out";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Flow> {
    let binding = binding(reader);
    let answers = answers(reader);
    let decoy_share = reader.value(DECOY_SHARE, |text| match f64::from_str(text) {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(()),
    });
    let decoy_questions = decoy_questions(reader, answers);
    let floor = floor(reader);
    let lifetime = lifetime(reader);
    let keys = keys(reader);
    let foreign_tokens = reader.value(FOREIGN_TOKENS, bool::from_str);
    if binding == Some(Binding::Off) {
        reader.warn(BINDING, "`off`: a code is not bound to the login it was sent to; for migration only");
    }
    if binding == Some(Binding::Prefer) {
        reader.warn(
            BINDING,
            "`prefer`: clients without a handle guess against every live code; `autoshares-gateway risk` prints the price",
        );
    }
    if foreign_tokens == Some(true) {
        reader.warn(FOREIGN_TOKENS, "`true`: tokens that were not issued here can be tried out");
    }
    Some(Flow {
        binding: binding?,
        answers: answers?,
        decoy_share: decoy_share?,
        decoy_questions: decoy_questions?,
        floor: floor?,
        lifetime: lifetime?,
        keys: keys?,
        foreign_tokens: foreign_tokens?,
    })
}

/// Reads `flow.binding` alone and without warnings, for a command that needs no other setting of the flow.
pub(super) fn binding(reader: &mut Reader<'_>) -> Option<Binding> {
    reader.value(BINDING, |text| match text {
        "required" => Ok(Binding::Required),
        "prefer" => Ok(Binding::Prefer),
        "off" => Ok(Binding::Off),
        _ => Err(()),
    })
}

fn answers(reader: &mut Reader<'_>) -> Option<Answers> {
    let answers = reader.value(ANSWERS, |text| match text {
        "uniform" => Ok(Answers::Uniform),
        "faithful" => Ok(Answers::Faithful),
        "decoy" => Ok(Answers::Decoy),
        _ => Err(()),
    })?;
    if answers == Answers::Faithful {
        reader.warn(
            ANSWERS,
            "`faithful`: answers tell strangers which logins exist; not for the public internet",
        );
    }
    if answers == Answers::Decoy && reader.get(KEYS_FILE).is_none() {
        reader.warn(
            ANSWERS,
            "`decoy`: keys change at each start, decoys with them, and are known by that; set `flow.keys_file`",
        );
    }
    Some(answers)
}

fn decoy_questions(reader: &mut Reader<'_>, answers: Option<Answers>) -> Option<Arc<[String]>> {
    let Some(path) = reader.get(DECOY_QUESTIONS_FILE) else {
        if answers == Some(Answers::Decoy) {
            reader.fault(DECOY_QUESTIONS_FILE, format_args!("is not set, and `{}` is `decoy`", ANSWERS.key));
            return None;
        }
        return Some(Arc::default());
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            reader.fault(DECOY_QUESTIONS_FILE, format_args!("cannot be read: {error}"));
            return None;
        }
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let questions: Vec<_> = lines.map(str::to_owned).collect();
    if questions.len() < 2 {
        reader.fault(DECOY_QUESTIONS_FILE, "holds fewer than two questions");
        return None;
    }
    Some(questions.into())
}

fn floor(reader: &mut Reader<'_>) -> Option<Duration> {
    let floor = reader.value(FLOOR, |text| duration(text, ..=Duration::from_secs(10)))?;
    if floor.is_zero() {
        reader.warn(
            FLOOR,
            "zero: the time of an answer tells strangers which logins exist; for a benchmark only",
        );
    } else if floor < Duration::from_millis(100) {
        reader.warn(
            FLOOR,
            "below 100ms: a mail may take longer, and the time of an answer then tell which logins exist",
        );
    }
    Some(floor)
}

fn lifetime(reader: &mut Reader<'_>) -> Option<Duration> {
    let lifetime = reader.value(LIFETIME, |text| duration(text, Duration::from_secs(60)..))?;
    let code_lifetime = limits::CODE_LIFETIME;
    let Some(longest) = reader.peek(code_lifetime, limits::code_lifetime) else { return Some(lifetime) };
    if lifetime > longest && reader.get(LIFETIME).is_some() {
        let (key, variable) = (code_lifetime.key, code_lifetime.variable);
        reader.fault(LIFETIME, format_args!("is longer than `{key}` ({variable})"));
    }
    Some(lifetime.min(longest))
}

fn keys(reader: &mut Reader<'_>) -> Option<Secrets> {
    let Some(path) = reader.get(KEYS_FILE) else {
        if matches!(reader.peek(store::URL, store::redis_at), Some(Some(_))) {
            reader.fault(KEYS_FILE, format_args!("is not set, and `{}` is a Redis", store::URL.key));
            return None;
        }
        return Some(Secrets::random());
    };
    reader.warn_of_open_file(KEYS_FILE, &path);
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot be read: {error}"));
    match text.and_then(|text| Secrets::parse(&text)) {
        Ok(keys) => Some(keys),
        Err(wrong) => {
            reader.fault(KEYS_FILE, wrong);
            None
        }
    }
}
