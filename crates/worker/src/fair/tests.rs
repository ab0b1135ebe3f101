//! What must hold whatever happens and in whatever order.

use std::time::Duration;

use crmgate_connector::Allowance;
use crmgate_domain::{ProcessId, Timestamp};
use crmgate_testkit::TestAmbient;
use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;

use super::breaker::Pass;
use super::*;

fn start() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

fn after(millis: u64) -> Timestamp {
    start() + SignedDuration::from_millis(millis.cast_signed())
}

fn processes(count: usize) -> Vec<ProcessId> {
    let ambient = TestAmbient::default();
    (0..count).map(|_| ProcessId::fresh(&ambient)).collect()
}

fn rules(rate: f64, burst: u32) -> Rules {
    Rules {
        rate,
        burst,
        ..Rules::default()
    }
}

proptest! {
    #[test]
    fn no_schedule_of_any_number_of_processes_gets_more_than_the_rate(
        rate in 1.0..200.0_f64,
        burst in 1_u32..100,
        steps in prop::collection::vec((0_u64..400, 0_usize..4, 1_u32..50, any::<bool>()), 1..120),
    ) {
        let rules = rules(rate, burst);
        let who = processes(4);
        let mut shared = Shared::new(&rules, start());
        let (mut at, mut made) = (0, 0_u32);
        for (pause, process, want, unused) in steps {
            at += pause;
            let drawn = shared.draw(&rules, (who[process], want, 1), after(at));
            let Ok(grant) = drawn else { continue };
            prop_assert!(grant.calls >= 1 && grant.calls <= want);
            if unused {
                let report = Report { unused: grant.calls, ..Report::default() };
                shared.hear(&rules, &report, after(at));
            } else {
                made += grant.calls;
            }
        }
        let seconds = f64::from(u32::try_from(at).unwrap()) / 1_000.0;
        let most = f64::from(burst) + rate * seconds;
        prop_assert!(f64::from(made) <= most + 1e-6, "{} > {}", made, most);
    }

    #[test]
    fn the_parts_of_all_processes_are_no_more_than_the_limit_but_for_one_each(
        answers in 0_u32..500,
        halvings in 0_u64..6,
        count in 1_usize..20,
    ) {
        let rules = CallRules { least: 1, first: 8, most: 64 };
        let mut limit = Limit::first(&rules);
        limit.grow(&rules, answers);
        for nth in 0..halvings {
            limit.halve(&rules, after(nth * 3_000));
        }
        prop_assert!(limit.calls() >= 1.0 && limit.calls() <= 64.0);
        let all = f64::from(limit.part(count)) * f64::from(u32::try_from(count).unwrap());
        prop_assert!(all <= limit.calls().max(f64::from(u32::try_from(count).unwrap())));
    }

    #[test]
    fn one_throttle_halves_once_however_many_answers_say_so(
        answers in prop::collection::vec(0_u64..1_900, 1..20),
    ) {
        let rules = CallRules { least: 1, first: 16, most: 16 };
        let mut limit = Limit::first(&rules);
        let mut sorted = answers;
        sorted.sort_unstable();
        let first = sorted[0];
        for at in sorted {
            limit.halve(&rules, after(at.min(first + 1_900)));
        }
        prop_assert!((limit.calls() - 8.0).abs() < 1e-9);
    }

    #[test]
    fn an_open_breaker_lets_one_probe_through_at_a_time(
        steps in prop::collection::vec((0_u64..20_000, 0_usize..3, 0_u8..3), 1..100),
    ) {
        let rules = BreakerRules {
            failures: 3,
            pause: Duration::from_secs(5),
            longest: Duration::from_secs(60),
        };
        let who = processes(3);
        let mut breaker = Breaker::default();
        breaker.failed(&rules, 3, (start(), Duration::ZERO));
        prop_assert!(!breaker.is_closed());
        let mut at = 0;
        let mut probing: Option<u64> = None;
        for (pause, process, what) in steps {
            at += pause;
            match breaker.pass(who[process], after(at)) {
                Pass::Calls => prop_assert!(breaker.is_closed()),
                Pass::NotUntil(until) => prop_assert!(until > after(at)),
                Pass::Probe => {
                    // The one before was told of, or has been silent for long.
                    prop_assert!(probing.is_none_or(|since| at - since >= 60_000));
                    probing = Some(at);
                }
            }
            if probing.is_some() {
                match what {
                    0 => {
                        breaker.answered();
                        probing = None;
                        breaker.failed(&rules, 3, (after(at), Duration::ZERO));
                    }
                    1 => {
                        breaker.failed(&rules, 1, (after(at), Duration::ZERO));
                        probing = None;
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn quiet_hours_end_when_they_say(
        from in 0_i8..24, to in 0_i8..24, minutes in 0_i64..(14 * 24 * 60), days in 1_u8..127,
    ) {
        let all = [
            Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday,
            Weekday::Friday, Weekday::Saturday, Weekday::Sunday,
        ];
        let chosen = all.into_iter().enumerate();
        let window = Quiet {
            zone: TimeZone::UTC,
            days: chosen.filter(|(nth, _)| days & (1 << nth) != 0).map(|(_, day)| day).collect(),
            from: time(from, 0, 0, 0),
            to: time(to, 0, 0, 0),
        };
        let now = start() + minutes.minutes();
        let windows = [window];
        match ends(&windows, now) {
            // All week long, one window follows on the other.
            Some(end) if from == to && days == 127 => prop_assert!(end > now),
            Some(end) => {
                prop_assert!(end > now);
                prop_assert_eq!(ends(&windows, end), None);
                let before = end - 1.second();
                prop_assert!(before < now || ends(&windows, before).is_some());
            }
            None => {}
        }
    }
}

#[test]
fn a_night_that_crosses_midnight_and_a_change_of_the_clocks_is_one_window() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let night = Quiet {
        zone: berlin,
        days: vec![Weekday::Saturday],
        from: time(22, 0, 0, 0),
        to: time(6, 0, 0, 0),
    };
    let windows = [night];
    // The clocks go forward on Sunday the 29th at 2: the night is an hour shorter.
    let during: Timestamp = "2026-03-28T23:30:00Z".parse().unwrap();
    let end: Timestamp = "2026-03-29T04:00:00Z".parse().unwrap();
    assert_eq!(ends(&windows, during), Some(end));
    assert_eq!(ends(&windows, end), None);
    let friday: Timestamp = "2026-03-27T23:30:00Z".parse().unwrap();
    assert_eq!(ends(&windows, friday), None);
}

#[test]
fn a_throttle_stops_all_processes_until_it_is_over() {
    let rules = rules(100.0, 100);
    let who = processes(2);
    let mut shared = Shared::new(&rules, start());
    assert!(shared.draw(&rules, (who[0], 5, 1), start()).is_ok());
    let report = Report {
        throttled: true,
        asked: Some(Duration::from_secs(7)),
        ..Report::default()
    };
    let before = shared.limit().calls();
    shared.hear(&rules, &report, after(100));
    let wait = shared.draw(&rules, (who[1], 5, 1), after(200)).unwrap_err();
    assert_eq!((wait.why, wait.until), (WaitFor::Throttle, after(7_100)));
    let grant = shared.draw(&rules, (who[1], 5, 1), after(7_100)).unwrap();
    assert_eq!(grant.calls, 5);
    assert!((shared.limit().calls() - before / 2.0).abs() < 1e-9);
    // Two share what is left of the limit.
    assert_eq!(grant.at_once, shared.limit().part(2));
}

#[test]
fn a_process_that_is_gone_has_no_part() {
    let rules = rules(100.0, 100);
    let who = processes(3);
    let mut shared = Shared::new(&rules, start());
    for one in &who {
        shared.draw(&rules, (*one, 1, 1), start()).unwrap();
    }
    assert_eq!(shared.processes(), 3);
    shared.draw(&rules, (who[0], 1, 1), after(16_000)).unwrap();
    assert_eq!(shared.processes(), 1);
}

#[test]
fn the_days_calls_end_and_begin_again_at_midnight() {
    let rules = Rules {
        daily: Some(10),
        ..rules(1_000.0, 1_000)
    };
    let who = processes(1)[0];
    let mut shared = Shared::new(&rules, start());
    let grant = shared.draw(&rules, (who, 50, 1), start()).unwrap();
    assert_eq!(grant.calls, 10, "no more than there are");
    let wait = shared.draw(&rules, (who, 1, 1), start()).unwrap_err();
    let midnight: Timestamp = "2026-03-03T00:00:00Z".parse().unwrap();
    assert_eq!((wait.why, wait.until), (WaitFor::Daily, midnight));
    assert!(shared.draw(&rules, (who, 1, 1), midnight).is_ok());
    assert_eq!(shared.spent(midnight), 1);
}

#[test]
fn a_reserve_of_the_allowance_is_left_and_asked_after_again() {
    let rules = Rules {
        reserve: 0.2,
        ..Rules::default()
    };
    let told = |used| Allowance {
        used,
        most: 15_000,
        over: Duration::from_secs(24 * 60 * 60),
        at_once: None,
        at: start(),
    };
    assert_eq!(low_until(&rules, Some(&told(11_999)), start()), None);
    let until = low_until(&rules, Some(&told(12_000)), start()).unwrap();
    assert_eq!(until, after(15 * 60 * 1_000));
    // Only an answer tells whether there is more: then one call asks.
    assert_eq!(low_until(&rules, Some(&told(12_000)), until), None);
    assert_eq!(low_until(&rules, None, start()), None);
    let sliding = Allowance {
        over: Duration::from_secs(300),
        ..told(15_000)
    };
    let soon = low_until(&rules, Some(&sliding), start()).unwrap();
    assert!(soon <= after(4_000), "{soon}");
}

#[test]
fn what_is_shared_outlives_its_text() {
    let rules = rules(10.0, 10);
    let who = processes(1)[0];
    let mut shared = Shared::new(&rules, start());
    shared.draw(&rules, (who, 3, 1), start()).unwrap();
    shared.hear(
        &rules,
        &Report {
            failed: 9,
            asked: Some(Duration::from_secs(1)),
            ..Report::default()
        },
        start(),
    );
    let text = serde_json::to_string(&shared).unwrap();
    assert_eq!(serde_json::from_str::<Shared>(&text).unwrap(), shared);
}
