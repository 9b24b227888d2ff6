//! `limits.*`: the budgets, and the bound on expected takeovers.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use autoshares_counting::Rate;

use super::{Setting, reader::Reader, setting::settings};

/// The budgets, and the bound on expected takeovers. Budgets of networks and of the installation are refused openly; those of logins must
/// not show, for an account that refuses differently is an oracle.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Whether budgets and the ledger are kept at all. Tries in a flow are counted all the same.
    pub enabled: bool,
    /// Mails to one login. Three an hour are enough for a trader who mistypes or waits; ten a day keep a stranger from filling a mailbox.
    pub resets_per_login: Vec<Rate>,
    /// Step 1 from one network, and questions that are fetched without a handle.
    pub resets_per_address: Vec<Rate>,
    /// Different logins in step 1 from one network: an office has a few, a stranger tries many.
    pub logins_per_address: Vec<Rate>,
    /// Step 1 from everybody together: bounds the load on Autoshares, whatever the number of networks.
    pub resets: Vec<Rate>,
    /// Answers to one login's secret question, which are easier to guess than codes.
    pub answers_per_login: Vec<Rate>,
    /// Codes for one login over all of its flows: three mails of five tries each.
    pub codes_per_login: Vec<Rate>,
    /// Codes from one network, and tokens that were not issued here.
    pub codes_per_address: Vec<Rate>,
    /// Codes in one flow. People mistype a few times; a stranger gains nothing from more flows, for the ledger bounds them all.
    pub codes_per_flow: u32,
    /// Questions fetched in one flow: people reload, programs flood.
    pub questions_per_flow: u32,
    /// Attempts to set the password in one flow, for passwords that Autoshares refuses.
    pub updates_per_flow: u32,
    /// Expected takeovers by guessing in any hour, in millionths, so that one guess at `n` live codes is booked as `n`. The default expects
    /// one in 35 days of attack at full bound with nobody reacting.
    pub risk_per_hour: u32,
    /// Expected takeovers in any hour by guesses of clients without a handle, in millionths, when `flow.binding` is `prefer`.
    pub legacy_risk_per_hour: u32,
    /// How long a code is assumed to live at Autoshares, which nobody documents. A longer assumption raises the price of every guess.
    pub code_lifetime: Duration,
    /// Live codes that are asked for past this gateway, which it cannot count. They are added to the price of every guess.
    pub codes_elsewhere: u32,
    /// How many digits a code has.
    pub code_digits: u32,
}

impl Limits {
    /// How long a code is assumed to live, rounded up to whole minutes.
    pub fn code_minutes(&self) -> u64 {
        self.code_lifetime.as_secs().div_ceil(60)
    }

    /// How many codes there are.
    pub fn codes(&self) -> u32 {
        10_u32.pow(self.code_digits)
    }

    /// A risk in millionths as the number of guesses, at one live code, that it pays for.
    pub fn guesses(&self, risk: u32) -> u32 {
        let guesses = u64::from(risk) * u64::from(self.codes()) / 1_000_000;
        u32::try_from(guesses).unwrap_or(u32::MAX)
    }
}

const RATES: &str = "rates a `s`, `min`, `h` or `day`, each of these once, such as `3/h, 10/day`";
const TRIES: &str = "a number, 1 to 100";

settings! {
    ENABLED: "limits.enabled", "GATEWAY_LIMITS_ENABLED",
        "`true` or `false`", "true",
        "`false` turns budgets, ledger and breakers off, for a benchmark only; the tries of a flow are counted all the same";
    RESETS_PER_LOGIN: "limits.resets_per_login", "GATEWAY_LIMITS_RESETS_PER_LOGIN",
        RATES, "3/h, 10/day",
        "enough for a trader who waits for a mail, too few to fill a mailbox; a request beyond it looks accepted", list;
    RESETS_PER_ADDRESS: "limits.resets_per_address", "GATEWAY_LIMITS_RESETS_PER_ADDRESS",
        RATES, "10/h",
        "an address is an IPv4 address or the /64 of an IPv6 address; wider networks have multiples of it: an IPv4 /24 six times as much, an IPv6 /56 twice, a /48 four times, a /32 twelve times; a request beyond it gets 429", list;
    LOGINS_PER_ADDRESS: "limits.logins_per_address", "GATEWAY_LIMITS_LOGINS_PER_ADDRESS",
        RATES, "10/h",
        "different logins: an office has a few, a stranger tries many; wider networks have the same multiples as of resets; a request beyond it gets 429", list;
    RESETS: "limits.resets", "GATEWAY_LIMITS_RESETS",
        RATES, "600/h",
        "from everybody together, so that no number of addresses floods Autoshares; half of it is kept for networks (/24, /48) that have not asked in this hour, and a tenth of that half is all that one IPv4 /16 or IPv6 /32 gets; a request beyond it gets 503", list;
    ANSWERS_PER_LOGIN: "limits.answers_per_login", "GATEWAY_LIMITS_ANSWERS_PER_LOGIN",
        RATES, "3/h, 10/day",
        "secret answers are easier to guess than codes; a request beyond it looks wrong", list;
    CODES_PER_LOGIN: "limits.codes_per_login", "GATEWAY_LIMITS_CODES_PER_LOGIN",
        RATES, "15/h",
        "three mails of five tries each; a code beyond it looks wrong", list;
    CODES_PER_ADDRESS: "limits.codes_per_address", "GATEWAY_LIMITS_CODES_PER_ADDRESS",
        RATES, "15/h",
        "codes, and tokens that the gateway did not issue; an IPv4 /24 has six times as much, an IPv6 /56 twice, a /48 four times; a request beyond it gets 429", list;
    CODES_PER_FLOW: "limits.codes_per_flow", "GATEWAY_LIMITS_CODES_PER_FLOW",
        TRIES, "5",
        "people mistype a few times; a code beyond it looks wrong";
    QUESTIONS_PER_FLOW: "limits.questions_per_flow", "GATEWAY_LIMITS_QUESTIONS_PER_FLOW",
        TRIES, "10",
        "people reload a page, programs flood";
    UPDATES_PER_FLOW: "limits.updates_per_flow", "GATEWAY_LIMITS_UPDATES_PER_FLOW",
        TRIES, "5",
        "for passwords that Autoshares refuses; then the trader starts again";
    RISK_PER_HOUR: "limits.risk_per_hour", "GATEWAY_LIMITS_RISK_PER_HOUR",
        "expected takeovers in any hour, `0.000001` to `1`, such as `0.0012`", "0.0012",
        "expected takeovers by guessing in any hour, over all addresses and logins: one in 35 days of attack with nobody reacting. A network (/24, /48) may spend a tenth of it, or two guesses, and gets 429 beyond that; the last quarter is kept for the first guesses of networks";
    LEGACY_RISK_PER_HOUR: "limits.legacy_risk_per_hour", "GATEWAY_LIMITS_LEGACY_RISK_PER_HOUR",
        "expected takeovers in any hour through clients without a handle, `0.000001` to `1`", "0.0012",
        "the same for clients without a handle, with `flow.binding = \"prefer\"`";
    CODE_LIFETIME: "limits.code_lifetime", "GATEWAY_LIMITS_CODE_LIFETIME",
        "how long Autoshares' codes are assumed to live, `1m` to `1day`", "30m",
        "how long Autoshares' codes are assumed to live, which nobody documents; `1m` to `1day`; a longer time makes every guess dearer; `flow.lifetime` is no longer than this";
    CODES_ELSEWHERE: "limits.codes_elsewhere", "GATEWAY_LIMITS_CODES_ELSEWHERE",
        "a number of live codes that are asked for past this gateway, up to 1000000", "0",
        "live codes that are asked for past this gateway, which it cannot count; they are added to the price of each guess";
    CODE_DIGITS: "limits.code_digits", "GATEWAY_LIMITS_CODE_DIGITS",
        "how many digits a code has, 4 to 9", "6",
        "how many digits a code has, 4 to 9; a code with another number is refused, and a guess among more digits costs less";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Limits> {
    let enabled = reader.value(ENABLED, bool::from_str);
    let mut all_rates = |setting: Setting| reader.value(setting, rates);
    let resets_per_login = all_rates(RESETS_PER_LOGIN);
    let resets_per_address = all_rates(RESETS_PER_ADDRESS);
    let logins_per_address = all_rates(LOGINS_PER_ADDRESS);
    let resets = all_rates(RESETS);
    let answers_per_login = all_rates(ANSWERS_PER_LOGIN);
    let codes_per_login = all_rates(CODES_PER_LOGIN);
    let codes_per_address = all_rates(CODES_PER_ADDRESS);
    let codes_per_flow = reader.number(CODES_PER_FLOW, 100);
    let questions_per_flow = reader.number(QUESTIONS_PER_FLOW, 100);
    let updates_per_flow = reader.number(UPDATES_PER_FLOW, 100);
    let risk_per_hour = reader.value(RISK_PER_HOUR, risk);
    let legacy_risk_per_hour = reader.value(LEGACY_RISK_PER_HOUR, risk);
    let code_lifetime = reader.value(CODE_LIFETIME, code_lifetime);
    let codes_elsewhere = reader.value(CODES_ELSEWHERE, |text| match text.parse() {
        Ok(codes) if codes <= 1_000_000 => Ok(codes),
        _ => Err(()),
    });
    let code_digits = reader.value(CODE_DIGITS, |text| match text.parse() {
        Ok(digits @ 4..=9) => Ok(digits),
        _ => Err(()),
    });
    if enabled == Some(false) {
        reader.warn(ENABLED, "`false`: nothing bounds guesses, mails or load; for a benchmark only");
    }
    if risk_per_hour.is_some_and(|risk| risk > 10_000) {
        reader.warn(RISK_PER_HOUR, "above 0.01; `autoshares-gateway risk` prints what that means");
    }
    if let (Some(resets), Some(risk), Some(lifetime), Some(elsewhere), Some(digits)) =
        (&resets, risk_per_hour, code_lifetime, codes_elsewhere, code_digits)
        && most_live_codes(resets, lifetime) + f64::from(elsewhere)
            > f64::from(risk) * 10_f64.powi(digits as i32 - 6)
    {
        reader.warn(
            RESETS,
            format_args!(
                "allows so many live codes that `{}` would not pay for a single guess, not even a right one",
                RISK_PER_HOUR.key
            ),
        );
    }
    Some(Limits {
        enabled: enabled?,
        resets_per_login: resets_per_login?,
        resets_per_address: resets_per_address?,
        logins_per_address: logins_per_address?,
        resets: resets?,
        answers_per_login: answers_per_login?,
        codes_per_login: codes_per_login?,
        codes_per_address: codes_per_address?,
        codes_per_flow: codes_per_flow?,
        questions_per_flow: questions_per_flow?,
        updates_per_flow: updates_per_flow?,
        risk_per_hour: risk_per_hour?,
        legacy_risk_per_hour: legacy_risk_per_hour?,
        code_lifetime: code_lifetime?,
        codes_elsewhere: codes_elsewhere?,
        code_digits: code_digits?,
    })
}

/// The most codes that can be live at one time: one for each reset that the budget allows at once, and one for each reset that comes back
/// to the budget while a code lives.
fn most_live_codes(resets: &[Rate], lifetime: Duration) -> f64 {
    let live = resets
        .iter()
        .map(|rate| f64::from(rate.count) * (1.0 + lifetime.as_secs_f64() / rate.period.as_secs_f64()));
    live.fold(f64::INFINITY, f64::min)
}

pub(super) fn code_lifetime(text: &str) -> Result<Duration, ()> {
    match humantime::parse_duration(text) {
        Ok(lifetime) if (60..=86400).contains(&lifetime.as_secs()) => Ok(lifetime),
        _ => Err(()),
    }
}

/// Several rates, separated by commas. A budget is kept by period, so each period may stand only once.
fn rates(text: &str) -> Result<Vec<Rate>, ()> {
    let rates: Vec<Rate> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let periods: BTreeSet<_> = rates.iter().map(|rate| rate.period).collect();
    if periods.len() == rates.len() { Ok(rates) } else { Err(()) }
}

/// A number of expected takeovers, in millionths.
fn risk(text: &str) -> Result<u32, ()> {
    let risk: f64 = text.parse().map_err(|_| ())?;
    let millionths = (risk * 1e6).round();
    // One guess at one code is booked as a millionth; above 1 the number means nothing.
    if (1.0..=1e6).contains(&millionths) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a million"
        )]
        return Ok(millionths as u32);
    }
    Err(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_written() {
        let written =
            |text: &str| rates(text).map(|rates| rates.iter().map(Rate::to_string).collect::<Vec<_>>());
        assert_eq!(written("3/h, 10/day").unwrap(), ["3/h", "10/day"]);
        for bad in ["", "3", "0/h", "3/h,", "3/h, 5/h"] {
            assert_eq!(written(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn risk_is_kept_in_millionths() {
        assert_eq!(risk("0.0012"), Ok(1200));
        assert_eq!(risk("1"), Ok(1_000_000));
        for bad in ["0", "-1", "1.1", "0.0000001", "NaN", "inf", "much"] {
            assert_eq!(risk(bad), Err(()), "{bad}");
        }
    }
}
