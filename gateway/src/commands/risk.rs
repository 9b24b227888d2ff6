//! `risk`: prints how likely it is, under a given configuration, that a stranger who guesses confirmation codes takes over an account, and
//! how that number is computed.

use std::fmt;

use super::{Outcome, Settings, variable};
use crate::config::{self, Binding, Limits};

/// The number of possible confirmation codes: they have six digits.
const CODES: f64 = 1e6;

/// Prints the odds of a configuration.
///
/// # Errors
///
/// A bad configuration.
pub fn run(settings: &Settings) -> Outcome {
    let (binding, limits) = config::bounds(&settings.sources(), variable)?;
    print!("{}", Odds::new(binding, limits));
    Ok(())
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
        let flow = f64::from(self.limits.risk_per_hour) / CODES;
        let legacy = f64::from(self.limits.legacy_risk_per_hour) / CODES;
        self.limits.enabled.then_some(match self.binding {
            Binding::Required | Binding::Off => flow,
            Binding::Prefer => flow + legacy,
        })
    }
}

/// The chance of at least one takeover when `expected` takeovers are expected: `1 − e^−expected`, by the Poisson distribution.
fn chance(expected: f64) -> f64 {
    -(-expected).exp_m1()
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

impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { binding, limits } = self;
        let lifetime = limits.code_lifetime.as_secs_f64() / 3600.0;
        let minutes = limits.code_lifetime.as_secs() / 60;
        writeln!(f, "How likely a stranger who guesses codes takes any account over\n")?;
        writeln!(
            f,
            "A code is one of 1,000,000 and is sent to Autoshares without the login it belongs to. While L codes are live, a guess"
        )?;
        writeln!(
            f,
            "hits one of them with probability L / 1,000,000. The gateway adds these up over every 60 minutes, before a guess is"
        )?;
        writeln!(
            f,
            "forwarded, whatever the number of addresses and logins, and forwards none above its bound.\n"
        )?;

        match self.per_hour() {
            Some(per_hour) => {
                let lane = f64::from(limits.risk_per_hour) / CODES;
                writeln!(f, "bound (limits.risk_per_hour)      {lane} expected takeovers in any hour")?;
                for live in [1, 20, 100, 600] {
                    let guesses = limits.risk_per_hour / live;
                    writeln!(
                        f,
                        "  at {live:>3} live codes               {lane} x 1,000,000 / {live} = {guesses} wrong guesses an hour"
                    )?;
                }
                if *binding == Binding::Prefer {
                    let legacy = f64::from(limits.legacy_risk_per_hour) / CODES;
                    writeln!(
                        f,
                        "legacy lane (flow.binding=prefer) {legacy} more, for clients without a handle; they need no flow to guess in"
                    )?;
                }
                if *binding == Binding::Off {
                    writeln!(
                        f,
                        "flow.binding = off                clients without a handle share the bound; they need no flow to guess in"
                    )?;
                }
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
                )?;
            }
            None => writeln!(
                f,
                "limits.enabled = false: nothing bounds it. What follows for a plain proxy holds here too."
            )?,
        }

        let (addresses, each, live) = (8000.0, 10.0, 100.0);
        let guesses = addresses * each;
        let plain = 1.0 - (1.0 - live / CODES).powf(guesses);
        writeln!(f, "\nThe same attack against a proxy that limits each address alone")?;
        writeln!(f, "  8,000 addresses x 10 guesses = 80,000 guesses at 100 live codes:")?;
        writeln!(f, "  1 - (1 - 100 / 1,000,000)^80,000 = {}", percent(plain))?;
        if let Some(per_hour) = self.per_hour() {
            writeln!(f, "  here, in the same hour: {}", percent(chance(per_hour)))?;
        }

        writeln!(
            f,
            "\nThe honest head-room: R resets an hour are R x {lifetime} h = L live codes (limits.code_lifetime = {minutes} min). If one trader in"
        )?;
        writeln!(
            f,
            "twenty mistypes a code once, R / 20 wrong codes an hour cost L / 1,000,000 each, and honest traffic alone empties the ledger when"
        )?;
        let capacity = f64::from(limits.risk_per_hour);
        let resets = (capacity * 20.0 / lifetime).sqrt();
        let bound = capacity / CODES;
        writeln!(
            f,
            "  R / 20 x R x {lifetime} / 1,000,000 = {bound}, so R = sqrt({bound} x 20,000,000 / {lifetime}) = {resets:.0} resets an hour"
        )?;
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
            "= 219 resets an hour",
        ] {
            assert!(told.contains(figure), "{figure} missing in: {told}");
        }
        assert_eq!(Odds::new(Binding::Prefer, limits.clone()).per_hour(), Some(0.0024));
        let told = Odds::new(Binding::Prefer, limits.clone()).to_string();
        assert!(told.contains("legacy lane") && told.contains("0.0024 x 24"), "{told}");
        let told = Odds::new(Binding::Required, Limits { enabled: false, ..limits }).to_string();
        assert!(told.contains("nothing bounds it"), "{told}");
    }
}
