//! What must hold after a run, whatever happened in it.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{Fault, HOUR, MINUTE, Plan, Ran, attacks::Attack, platform::Books};

/// Checks the books of a run.
pub async fn check(plan: &Plan, ran: &Ran) {
    let told = || format!("{plan:?}");
    let began = ran.began;
    let losses = ran.scene.losses.lock().unwrap().clone();
    let hears_of_outcomes =
        !plan.faults.iter().any(|(_, fault, _)| matches!(fault, Fault::Store(_) | Fault::Split(_)));

    ran.scene.platform.books(|books| {
        assert_eq!(books.tokens_again, Vec::<String>::new(), "a token was spent twice: {}", told());
        // A code whose outcome the store has not heard of in time may be asked for again, for another try.
        if hears_of_outcomes {
            assert_eq!(books.codes_again, Vec::<String>::new(), "a code was forwarded again: {}", told());
        }
        assert_eq!(books.takeovers, 0);
        check_mails(books.mails.iter().map(|mail| (mail.account.as_str(), mail.at)), &losses, &told);
        check_risk(books, began, &losses, &told);
        check_outages(books, plan, &ran.scene.outages.lock().unwrap(), &told);
    });

    // Everybody has a new password within 61 minutes of the last fault.
    for (login, fate) in ran.fates.all() {
        assert!(fate.done.is_some(), "{login} did not get through: {fate:#?} {}", told());
    }
    // A right code never looks wrong in the flow that it was asked for in, but where somebody uses up what the login has.
    if !matches!(plan.attack, Attack::Besiege(_)) {
        for (login, fate) in ran.fates.all() {
            assert_eq!(fate.betrayed, 0, "{login}: {fate:#?} {}", told());
        }
    }
    let ends_flows = |fault: &Fault| matches!(fault, Fault::Restart | Fault::Forget | Fault::GoBack);
    if !plan.faults.iter().any(|(_, fault, _)| ends_flows(fault)) {
        for (login, fate) in ran.fates.all() {
            assert_eq!(fate.flowless, 0, "{login}: {fate:#?} {}", told());
        }
    }
    if plan.attack == Attack::None && plan.faults.is_empty() {
        for (login, fate) in ran.fates.all() {
            assert_eq!(fate.refused, 0, "{login}: {fate:#?}");
        }
    }

    // At rest nothing runs on behind, nothing waits to be settled, and nothing is held that is over.
    let quiet = ran.settled.max(ran.scene.clock.now()) + HOUR;
    ran.scene.clock.sleep_until(quiet).await;
    for replica in &ran.scene.replicas {
        assert_eq!(replica.steps.behind().len(), 0, "{}", told());
    }
    let held = ran.scene.shared.held(30);
    assert_eq!((held.records, held.unsettled, held.live), (0, 0, 0), "{held:?} {}", told());
}

/// Three mails at once to an account and one in twenty minutes after that, ten in a day; over spellings, replicas and outages.
fn check_mails<'a>(
    mails: impl Iterator<Item = (&'a str, Instant)>,
    losses: &[Instant],
    told: &impl Fn() -> String,
) {
    let mut by_account = BTreeMap::<String, Vec<Instant>>::new();
    for (account, at) in mails {
        by_account.entry(account.to_owned()).or_default().push(at);
    }
    // A mail may be sent some seconds after it was charged.
    let slack = Duration::from_secs(15);
    for (account, times) in by_account {
        let mut arrival: Option<(Instant, Instant)> = None;
        for at in &times {
            let is_lost =
                arrival.is_some_and(|(_, last)| losses.iter().any(|loss| last <= *loss && *loss <= *at));
            let from = arrival.filter(|_| !is_lost).map_or(*at, |(arrival, _)| arrival.max(*at));
            let next = from + 20 * MINUTE;
            assert!(next <= *at + HOUR + slack, "too many mails to {account}: {times:?} {}", told());
            arrival = Some((next, *at));
        }
        assert!(times.len() <= 10 + 10 * losses.len(), "too many mails in a day to {account}: {}", told());
    }
}

/// While Autoshares fails, each replica forwards the codes that come before the first one has failed, and one a minute afterwards.
fn check_outages(books: &Books, plan: &Plan, outages: &[(Instant, Instant)], told: &impl Fn() -> String) {
    for (began, ended) in outages {
        let mut bursts = 0;
        let mut open_after = *began;
        for at in books.codes_in_vain.iter().filter(|at| (*began..*ended).contains(at)) {
            if *at >= open_after {
                bursts += 1;
                // Until the last level of time, a call may be under way.
                open_after = *at + Duration::from_millis(2000);
            }
        }
        let minutes = ended.duration_since(*began).as_secs() / 60;
        let most = plan.replicas as u64 * (1 + minutes);
        assert!(bursts <= most, "{bursts} codes went into an outage of {minutes} min: {}", told());
    }
}

/// In any hour the expected takeovers, with the codes that were really live, stay within the bound. A store that has lost what it counted
/// begins anew, and does not know of the codes that were live before.
fn check_risk(books: &Books, began: Instant, losses: &[Instant], told: &impl Fn() -> String) {
    let last_loss = |at: &Instant| losses.iter().copied().filter(|loss| loss <= at).max().unwrap_or(began);
    let priced: Vec<_> =
        books.guesses.iter().map(|at| (*at, books.live_codes(last_loss(at), *at).max(1))).collect();
    for (index, (first, _)) in priced.iter().enumerate() {
        let hour = priced[index..].iter().take_while(|(at, _)| *at < *first + HOUR);
        let hour = hour.take_while(|(at, _)| last_loss(at) == last_loss(first));
        let expected: usize = hour.map(|(_, live)| live).sum();
        assert!(expected <= 1200, "{expected} millionths in an hour: {}", told());
    }
}
