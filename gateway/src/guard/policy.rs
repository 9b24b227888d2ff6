//! The rates that follow from the settings: what a wider network may do, and what is kept for newcomers.

use autoshares_counting::{Charge, Id, Newcomers, Rate, Subject};

use super::budget::{
    CODES_PER_ADDRESS, LOGINS_PER_ADDRESS, QUESTIONS, RESETS, RESETS_PER_ADDRESS, RESETS_PER_BLOCK,
    RESETS_RESERVE, TOKENS,
};
use crate::{
    config::Limits,
    network::{Networks, Width},
};

/// The part of the reserve for newcomers that one block of networks may use: one in ten.
const BLOCK: u32 = 10;

/// Rates of one budget of networks.
#[derive(Debug)]
struct OfNetworks {
    own: Vec<Rate>,
    wider: Vec<(Width, Vec<Rate>)>,
}

/// The rates of the budgets that are charged openly.
#[derive(Debug)]
pub(super) struct Policy {
    resets: OfNetworks,
    logins: OfNetworks,
    codes: OfNetworks,
    /// Resets of everybody: the part that is open to all, the reserve for newcomers, and what a block may use of it.
    open: Vec<Rate>,
    reserve: Vec<Rate>,
    block: Vec<Rate>,
}

impl Policy {
    pub(super) fn of(limits: &Limits) -> Self {
        let halves = |part: fn(u32) -> u32| {
            let rates = limits.resets.iter().map(|rate| Rate { count: part(rate.count), ..*rate });
            rates.filter(|rate| rate.count > 0).collect::<Vec<_>>()
        };
        Self {
            resets: OfNetworks::new(&limits.resets_per_address, |_| true),
            logins: OfNetworks::new(&limits.logins_per_address, |_| true),
            codes: OfNetworks::new(&limits.codes_per_address, |width| width != Width::V6Slash32),
            open: halves(|count| count - count / 2),
            reserve: halves(|count| count / 2),
            block: halves(|count| (count / 2).div_ceil(BLOCK)),
        }
    }

    /// Which network a step 1 comes from, for the reserve. A trader with a secret question needs two steps, so a network that has not sent an
    /// answer in this hour is a newcomer again when it does.
    pub(super) fn newcomer(networks: &Networks, answered: bool) -> Id {
        let Id(mut site) = networks.site();
        site[0] ^= u8::from(answered);
        Id(site)
    }

    /// The charges for a step 1: the installation first, for then a flood that has used it up is charged to nobody.
    pub(super) fn resets<'a>(&'a self, networks: &Networks, login: Id, answered: bool) -> Vec<Charge<'a>> {
        let newcomers = Newcomers {
            network: Self::newcomer(networks, answered),
            reserve: RESETS_RESERVE,
            rates: &self.reserve,
            block: networks.block(),
            per_block: RESETS_PER_BLOCK,
            block_rates: &self.block,
        };
        // A budget of one has no half.
        let newcomers = (self.reserve.len() == self.open.len()).then_some(newcomers);
        // Two for each network, and one for everybody.
        let mut charges = Vec::with_capacity(1 + 2 * (1 + networks.wider.len()));
        charges.push(Charge { newcomers, ..Charge::new(RESETS, Subject::All, &self.open) });
        charges.extend(self.resets.charges(RESETS_PER_ADDRESS, networks));
        let logins = self.logins.charges(LOGINS_PER_ADDRESS, networks);
        charges.extend(logins.map(|charge| Charge { distinct: Some(login), ..charge }));
        charges
    }

    /// The charges for fetching a question without a flow. The installation has as many as resets; it stands first, so that addresses by the
    /// million leave no more behind than that.
    pub(super) fn questions<'a>(&'a self, networks: &Networks, all: &'a [Rate]) -> Vec<Charge<'a>> {
        let of_all = Charge::new(QUESTIONS, Subject::All, all);
        [of_all].into_iter().chain(self.resets.charges(RESETS_PER_ADDRESS, networks)).collect()
    }

    /// The charges for a token that was not issued here, of which the installation has as many as resets too.
    pub(super) fn tokens<'a>(&'a self, networks: &Networks, all: &'a [Rate]) -> Vec<Charge<'a>> {
        let of_all = Charge::new(TOKENS, Subject::All, all);
        [of_all].into_iter().chain(self.codes.charges(CODES_PER_ADDRESS, networks)).collect()
    }

    /// The charges for a code, whose number the ledger bounds for the installation.
    pub(super) fn codes<'a>(&'a self, networks: &Networks) -> Vec<Charge<'a>> {
        self.codes.charges(CODES_PER_ADDRESS, networks).collect()
    }
}

impl OfNetworks {
    fn new(own: &[Rate], is_bounded: impl Fn(Width) -> bool) -> Self {
        let wider = Width::ALL.into_iter().filter(|width| is_bounded(*width)).filter_map(|width| {
            let times = width.times()?;
            let rates = own.iter().map(|rate| Rate { count: widened(*rate, times), ..*rate });
            Some((width, rates.collect()))
        });
        Self { own: own.to_vec(), wider: wider.collect() }
    }

    fn charges<'a>(&'a self, budget: &'static str, networks: &Networks) -> impl Iterator<Item = Charge<'a>> {
        let own = Charge::new(budget, Subject::Of(networks.own), &self.own);
        let wider = networks.wider.iter().filter_map(move |(width, id)| {
            let (_, rates) = self.wider.iter().find(|(known, _)| known == width)?;
            Some(Charge::new(budget, Subject::Of(*id), rates))
        });
        std::iter::once(own).chain(wider.collect::<Vec<_>>())
    }
}

/// Time is counted in microseconds; more than one in each has no meaning.
fn widened(rate: Rate, times: u32) -> u32 {
    let most = u32::try_from(rate.period.as_micros()).unwrap_or(u32::MAX);
    rate.count.saturating_mul(times).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{self, Sources},
        flow::{KeyRing, Secrets},
    };

    #[test]
    fn wider_networks_have_more_and_half_of_the_resets_is_kept_for_newcomers() {
        let (_, limits) = config::bounds(&Sources::default(), |_| None).unwrap();
        let (policy, ring) = (Policy::of(&limits), KeyRing::new(&Secrets::random(), ""));
        let rates = |charges: Vec<Charge<'_>>| -> Vec<String> {
            charges.iter().map(|charge| charge.rates[0].to_string()).collect()
        };
        let of = |address: &str| Networks::of(Some(address.parse().unwrap()), &ring);
        let (four, six, unknown) = (of("192.0.2.1"), of("2001:db8::1"), Networks::of(None, &ring));
        let login = Id([1; 16]);
        let four_resets = ["300/h", "10/h", "60/h", "10/h", "60/h"];
        assert_eq!(rates(policy.resets(&four, login, false)), four_resets);
        let six_resets = ["300/h", "10/h", "20/h", "40/h", "120/h", "10/h", "20/h", "40/h", "120/h"];
        assert_eq!(rates(policy.resets(&six, login, false)), six_resets);
        assert_eq!(rates(policy.resets(&unknown, login, false)), ["300/h", "10/h", "10/h"]);
        assert_eq!(rates(policy.codes(&four)), ["15/h", "90/h"]);
        assert_eq!(rates(policy.codes(&six)), ["15/h", "30/h", "60/h"]);
        let newcomers = policy.resets(&four, login, false)[0].newcomers.unwrap();
        assert_eq!((newcomers.rates[0].count, newcomers.block_rates[0].count), (300, 30));
        let one = Policy::of(&Limits { resets: vec!["1/h".parse().unwrap()], ..limits });
        assert!(one.resets(&four, login, false)[0].newcomers.is_none());
    }
}
