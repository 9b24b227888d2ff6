//! What is bounded, and by how much. The defaults are in the table of settings; the reasons are here.

use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

/// So many in a period, spent as tokens that come back one by one over the period (GCRA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, and how many at once.
    pub count: u32,
    /// In which time all of them come back.
    pub period: Duration,
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("day", 86400)];

impl FromStr for Rate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (count, unit) = text.trim().split_once('/').ok_or(())?;
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or(())?;
        let count: u32 = count.trim().parse().map_err(|_| ())?;
        // Time is counted in microseconds; more than one in each has no meaning.
        let fits = count > 0 && u64::from(count) <= seconds * 1_000_000;
        fits.then_some(Self { count, period: Duration::from_secs(seconds) }).ok_or(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.into_iter().find(|(_, seconds)| *seconds == self.period.as_secs());
        write!(f, "{}/{}", self.count, unit.map_or("period", |(name, _)| name))
    }
}

impl Rate {
    /// One replica's share of it, when the replicas cannot count together.
    #[must_use]
    pub fn share(self, replicas: u32) -> Self {
        Self { count: share(self.count, replicas), ..self }
    }
}

/// One replica's share of a number: rounded down, and never nothing.
pub fn share(number: u32, replicas: u32) -> u32 {
    (number / replicas).max(1)
}

/// Several rates, separated by commas. Counters are kept by period, so each period stands once.
pub(super) fn rates(text: &str) -> Result<Vec<Rate>, ()> {
    let rates: Vec<Rate> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let periods: BTreeSet<_> = rates.iter().map(|rate| rate.period).collect();
    if periods.len() == rates.len() { Ok(rates) } else { Err(()) }
}

/// All bounds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Whether budgets and the ledger are kept at all. Tries in a flow are counted all the same.
    pub enabled: bool,
    /// Mails to one login. An account-keyed refusal would itself be an oracle, so what is over looks accepted.
    pub resets_per_login: Vec<Rate>,
    /// Step 1 from one address, and questions that are asked for without a handle.
    pub resets_per_address: Vec<Rate>,
    /// Different logins in step 1 from one address.
    pub logins_per_address: Vec<Rate>,
    /// Step 1 altogether: bounds what reaches Autoshares, whatever the number of addresses.
    pub resets: Vec<Rate>,
    /// Answers to one login's secret question.
    pub answers_per_login: Vec<Rate>,
    /// Codes for one login, over all of its flows.
    pub codes_per_login: Vec<Rate>,
    /// Codes from one address, and tokens that were not issued here.
    pub codes_per_address: Vec<Rate>,
    /// Codes in one flow.
    pub codes_per_flow: u32,
    /// Questions fetched in one flow: people reload, programs flood.
    pub questions_per_flow: u32,
    /// Attempts to set the password in one flow.
    pub updates_per_flow: u32,
    /// What the ledger holds: expected takeovers in any hour, in millionths, so that one guess at `n` live codes costs `n`.
    pub risk_per_hour: u32,
    /// The same for clients without a handle, when `flow.binding` is `prefer`.
    pub legacy_risk_per_hour: u32,
    /// How long a code is assumed to live at Autoshares, which nobody documents.
    pub code_lifetime: Duration,
}

impl Limits {
    /// How long a code is assumed to live, in minutes begun.
    pub fn code_minutes(&self) -> u64 {
        self.code_lifetime.as_secs().div_ceil(60)
    }
}

/// A number of expected takeovers, in millionths.
pub(super) fn risk(text: &str) -> Result<u32, ()> {
    let risk: f64 = text.parse().map_err(|_| ())?;
    let millionths = (risk * 1e6).round();
    // One guess at one code costs a millionth; above 1 the number means nothing.
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
        assert_eq!(written("1000000/s").unwrap(), ["1000000/s"]);
        for bad in ["", "3", "0/h", "-1/h", "3/week", "3/h,", "1000001/s", "4294967296/h", "3/h, 5/h"] {
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

    #[test]
    fn shares_add_up_to_no_more_than_the_whole_unless_the_whole_is_too_small_to_share() {
        let rate = |text: &str| text.parse::<Rate>().unwrap();
        assert_eq!(rate("10/h").share(3), rate("3/h"));
        assert_eq!(rate("2/h").share(3), rate("1/h"));
    }
}
