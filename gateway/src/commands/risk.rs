//! `risk`: prints how likely it is, under a given configuration, that a stranger who guesses confirmation codes takes over an account, and
//! how that number is computed.

use std::fmt;

use super::{Outcome, Settings, print, variable};
use crate::config::{self, Binding, Limits};

/// One honest trader in so many mistypes a code once.
const MISTYPES: f64 = 20.0;
/// How often codes may pause for honest traffic alone before another setting is advised.
const RARELY: f64 = 0.01;

/// Prints the odds of a configuration.
///
/// # Errors
///
/// A bad configuration.
pub fn run(settings: &Settings) -> Outcome {
    let (binding, limits) = settings.read(|sources| config::bounds(sources, variable))?;
    Ok(print(Odds::new(binding, limits))?)
}

/// The settings that bound the chance of a takeover; `Display` prints the chance and its computation.
#[derive(Debug)]
pub struct Odds {
    binding: Binding,
    limits: Limits,
}

impl Odds {
    /// Takes the settings whose odds are to be computed.
    pub fn new(binding: Binding, limits: Limits) -> Self {
        Self { binding, limits }
    }

    /// The largest expected number of takeovers in any 60 minutes; `None` when the limits are off, so that nothing bounds it.
    pub fn per_hour(&self) -> Option<f64> {
        let (flow, legacy) =
            (millionths(self.limits.risk_per_hour), millionths(self.limits.legacy_risk_per_hour));
        self.limits.enabled.then_some(match self.binding {
            Binding::Required | Binding::Off => flow,
            Binding::Prefer => flow + legacy,
        })
    }

    /// How many codes live when so many resets an hour are asked for here, as the gateway counts them.
    fn live_codes(&self, resets: f64) -> f64 {
        (resets * self.limits.code_lifetime.as_secs_f64() / 3600.0 + f64::from(self.limits.codes_elsewhere))
            .max(1.0)
    }

    /// How many wrong codes an hour the ledger pays for.
    fn guesses(&self, live: f64) -> f64 {
        (f64::from(self.limits.guesses(self.limits.risk_per_hour)) / live).floor()
    }

    /// How likely it is that honest traffic alone uses up the ledger within an hour.
    fn pauses(&self, resets: f64) -> f64 {
        more_than(self.guesses(self.live_codes(resets)), resets / MISTYPES)
    }

    /// The smallest `limits.risk_per_hour` with which honest traffic alone rarely uses it up.
    fn advised_risk(&self, resets: f64) -> f64 {
        let mistyped = resets / MISTYPES;
        let mut most = 1.0;
        while more_than(most, mistyped) > RARELY {
            most += 1.0;
        }
        most * self.live_codes(resets) / f64::from(self.limits.codes())
    }
}

fn millionths(risk: u32) -> f64 {
    f64::from(risk) / 1e6
}

/// The chance of at least one takeover when `expected` takeovers are expected: `1 − e^−expected`, by the Poisson distribution.
fn chance(expected: f64) -> f64 {
    -(-expected).exp_m1()
}

/// The chance of more than `most` events when `expected` are expected, by the Poisson distribution.
fn more_than(most: f64, expected: f64) -> f64 {
    let (mut term, mut sum, mut count) = ((-expected).exp(), 0.0, 0.0);
    while count <= most {
        sum += term;
        count += 1.0;
        term *= expected / count;
    }
    (1.0 - sum).max(0.0)
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if (99.995..100.0).contains(&percent) => "more than 99.99 %".to_owned(),
        percent if percent >= 10.0 => format!("{percent:.2} %"),
        percent => format!("{percent:.3} %"),
    }
}

/// Writes a number of hours in the unit that suits it: days, hours or minutes.
fn span(hours: f64) -> String {
    match hours {
        hours if hours >= 48.0 => format!("{:.0} days", hours / 24.0),
        hours if hours >= 2.0 => format!("{hours:.0} hours"),
        hours => format!("{:.0} minutes", hours * 60.0),
    }
}

/// Writes a whole number with commas between thousands.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = grouped(self.limits.codes());
        writeln!(f, "How likely a stranger who guesses codes takes any account over\n")?;
        writeln!(
            f,
            "A code is one of {codes} and is sent to Autoshares without the login it belongs to. While L codes are live, a guess"
        )?;
        writeln!(
            f,
            "hits one of them with probability L / {codes}. The gateway adds these up over every 60 minutes, before a guess is"
        )?;
        writeln!(
            f,
            "forwarded, whatever the number of addresses and logins, and forwards none above its bound.\n"
        )?;
        match self.per_hour() {
            Some(per_hour) => {
                self.bound(f, &codes)?;
                self.odds(f, per_hour)?;
                self.if_wrong(f, per_hour)?;
            }
            None => writeln!(
                f,
                "limits.enabled = false: nothing bounds it. What follows for a plain proxy holds here too."
            )?,
        }
        self.plain_proxy(f)?;
        self.honest(f)
    }
}

impl Odds {
    fn bound(&self, f: &mut fmt::Formatter<'_>, codes: &str) -> fmt::Result {
        let lane = millionths(self.limits.risk_per_hour);
        writeln!(f, "bound (limits.risk_per_hour)      {lane} expected takeovers in any hour")?;
        for live in [1, 20, 100, 600] {
            let guesses = self.guesses(f64::from(live));
            writeln!(
                f,
                "  at {live:>3} live codes               {lane} x {codes} / {live} = {guesses} wrong guesses an hour"
            )?;
        }
        let legacy = millionths(self.limits.legacy_risk_per_hour);
        match self.binding {
            Binding::Required => Ok(()),
            Binding::Prefer => writeln!(
                f,
                "legacy lane (flow.binding=prefer) {legacy} more, for clients without a handle; they need no flow to guess in"
            ),
            Binding::Off => writeln!(
                f,
                "flow.binding = off                clients without a handle share the bound; they need no flow to guess in"
            ),
        }
    }

    fn odds(&self, f: &mut fmt::Formatter<'_>, per_hour: f64) -> fmt::Result {
        writeln!(f, "\n  over      expected           chance of at least one, 1 - e^-expected")?;
        for (name, hours) in [("an hour", 1.0), ("a day", 24.0), ("30 days", 720.0)] {
            let expected = per_hour * hours;
            writeln!(
                f,
                "  {name:<9} {per_hour} x {hours:<4} = {expected:<7.4} {}",
                percent(chance(expected))
            )?;
        }
        writeln!(
            f,
            "  one is expected in {} of attack at full bound with nobody reacting",
            span(1.0 / per_hour)
        )
    }

    /// What holds when what the settings assume is wrong.
    fn if_wrong(&self, f: &mut fmt::Formatter<'_>, per_hour: f64) -> fmt::Result {
        let minutes = self.limits.code_lifetime.as_secs() / 60;
        writeln!(
            f,
            "\nNobody documents how long a code lives, and codes that are asked for past this gateway are not seen here. If the settings"
        )?;
        writeln!(
            f,
            "are wrong about it, more codes are live than the gateway counts, and the bound is this many times as high:"
        )?;
        let longer = 86400.0 / self.limits.code_lifetime.as_secs_f64();
        writeln!(
            f,
            "  codes live 24 hours, not {minutes} min (limits.code_lifetime):   x {longer:.0}, {:.4} expected in an hour",
            per_hour * longer
        )?;
        for elsewhere in [20_u32, 100] {
            let here = self.live_codes(100.0);
            let times = (here + f64::from(elsewhere)) / here;
            writeln!(
                f,
                "  {elsewhere:>3} more codes live (limits.codes_elsewhere = {}), at {here:.0} counted:  x {times:.1}, {:.4} expected in an hour",
                self.limits.codes_elsewhere,
                per_hour * times
            )?;
        }
        Ok(())
    }

    fn plain_proxy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (codes, plain_codes) = (grouped(self.limits.codes()), f64::from(self.limits.codes()));
        let plain = 1.0 - (1.0 - 100.0 / plain_codes).powf(80_000.0);
        writeln!(f, "\nThe same attack against a proxy that limits each address alone")?;
        writeln!(f, "  8,000 addresses x 10 guesses = 80,000 guesses at 100 live codes:")?;
        writeln!(f, "  1 - (1 - 100 / {codes})^80,000 = {}", percent(plain))?;
        match self.per_hour() {
            Some(per_hour) => writeln!(f, "  here, in the same hour: {}", percent(chance(per_hour))),
            None => Ok(()),
        }
    }

    fn honest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.limits.code_lifetime.as_secs() / 60;
        writeln!(
            f,
            "\nHonest traffic alone: R resets an hour keep L = R x {minutes} min of codes live (limits.code_lifetime). One trader in twenty mistypes"
        )?;
        writeln!(
            f,
            "a code, so R / 20 wrong codes an hour cost L each, and codes pause for everybody in an hour with more of them than are paid for:"
        )?;
        writeln!(f, "    R    L   mistyped   paid for   an hour with a pause")?;
        for resets in [50.0, 100.0, 200.0] {
            let (live, pauses) = (self.live_codes(resets), self.pauses(resets));
            write!(
                f,
                "  {resets:>3} {live:>4.0} {:>10.1} {:>10} {:>22}",
                resets / MISTYPES,
                self.guesses(live),
                percent(pauses)
            )?;
            if pauses > RARELY {
                write!(
                    f,
                    "; set limits.risk_per_hour = {:.4}, or more, to have fewer than one in a hundred",
                    self.advised_risk(resets)
                )?;
            }
            writeln!(f)?;
        }
        writeln!(f, "An honest typo, too, can hit another trader's live code; it is counted in the bound.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_is_that_of_the_threat_model() {
        let (_, limits) = config::bounds(&config::Sources::default(), |_| None).unwrap();
        let told = Odds::new(Binding::Required, limits.clone()).to_string();
        for figure in [
            "0.0012 x 1,000,000 / 20 = 60 wrong guesses an hour",
            "one is expected in 35 days",
            "= 99.97 %",
            "here, in the same hour: 0.120 %",
            "0.0012 x 24",
            "x 48, 0.0576 expected in an hour",
            "at 50 counted:  x 3.0, 0.0036 expected in an hour",
            "   50   25        2.5         48                0.000 %\n",
            "  200  100       10.0         12                20.84 %; set limits.risk_per_hour = 0.0018",
        ] {
            assert!(told.contains(figure), "{figure} missing in: {told}");
        }
        assert_eq!(Odds::new(Binding::Prefer, limits.clone()).per_hour(), Some(0.0024));
        let told = Odds::new(Binding::Prefer, limits.clone()).to_string();
        assert!(told.contains("legacy lane") && told.contains("0.0024 x 24"), "{told}");
        let told = Odds::new(Binding::Required, Limits { enabled: false, ..limits.clone() }).to_string();
        assert!(told.contains("nothing bounds it"), "{told}");
        let told = Odds::new(Binding::Required, Limits { code_digits: 8, ..limits }).to_string();
        assert!(told.contains("0.0012 x 100,000,000 / 20 = 6000 wrong guesses an hour"), "{told}");
    }

    #[test]
    fn the_tail_of_the_distribution_is_that_of_the_tables() {
        for (most, expected, tail) in
            [(12.0, 10.0, 0.2084), (4.0, 2.5, 0.1088), (0.0, 1.0, 0.6321), (40.0, 2.5, 0.0)]
        {
            assert!((more_than(most, expected) - tail).abs() < 1e-4, "{most}, {expected}");
        }
    }
}
