//! A question has exactly one end.

use std::num::NonZeroU64;
use std::time::Duration;

use dx_agents::{
    AgentId, Answer, AskError, AskId, Context, Down, MailboxBounds, Placement, RefusedBecause,
    ReplyTo, Restart, Spawn,
};

use crate::actors::{
    Alien, Gate, Hears, LONG, Number, agent, dead, number, numbers, runtime, until,
};

/// What an answer is to a test.
fn code(answer: Result<Answer, AskError>) -> u64 {
    match answer {
        Ok(answer) => answer.open::<Number>().unwrap().0,
        Err(AskError::Timeout) => 100,
        Err(AskError::Refused(RefusedBecause::Full)) => 201,
        Err(AskError::Refused(RefusedBecause::Unknown)) => 202,
        Err(AskError::Refused(_)) => 203,
        Err(AskError::Down(Down::Stopped)) => 301,
        Err(AskError::Down(Down::Panicked)) => 302,
        Err(AskError::Down(Down::Restarted)) => 303,
        Err(AskError::Down(_)) => 304,
    }
}

const ANSWERS: u64 = 1;
const IGNORES: u64 = 2;
const STOPS: u64 = 3;
const PANICS: u64 = 4;
const TWICE: u64 = 5;

#[expect(clippy::needless_pass_by_value, reason = "scripts own what they hear")]
fn answers(hears: Hears, cx: &mut Context) {
    let Hears::Message(_, number) = hears else { return };
    let to = cx.asked();
    match (number, to) {
        (ANSWERS, Some(to)) => cx.reply(to, Number(1)),
        (STOPS, _) => cx.stop(),
        (PANICS, _) => panic!("as it is told"),
        (TWICE, Some(to)) => {
            cx.reply(to, Number(1));
            cx.reply(to, Number(2));
        }
        _ => {}
    }
}

/// Asks `to` each question, and tells the port of each end.
fn asks(port: AgentId, to: AgentId, questions: &'static [u64], within: Duration) -> Spawn {
    agent(move |hears, cx| match hears {
        Hears::Start => questions.iter().for_each(|&question| {
            cx.ask(to, Number(question), within);
        }),
        Hears::Reply(_, answer) => cx.send(port, Number(code(answer))),
        Hears::Message(_, number) => cx.send(port, Number(number)),
        _ => {}
    })
}

#[test]
fn a_question_is_answered_once() {
    let runtime = runtime(2);
    let port = runtime.port();
    let answerer = runtime.spawn(&agent(answers));
    let asker = runtime.spawn(&asks(port.id(), answerer, &[ANSWERS, TWICE, ANSWERS], LONG));
    assert_eq!(numbers(&port, 3), [1, 1, 1]);
    until(|| dead(&runtime, "late-answer") == 1);
    port.send(asker, Number(77)).unwrap();
    assert_eq!(number(&port), 77, "no further answer came");
}

#[test]
fn a_question_without_an_answer_ends_at_its_deadline() {
    let runtime = runtime(2);
    let port = runtime.port();
    let answerer = runtime.spawn(&agent(answers));
    let soon = Duration::from_millis(1);
    runtime.spawn(&asks(port.id(), answerer, &[IGNORES, IGNORES], soon));
    assert_eq!(numbers(&port, 2), [100, 100]);
}

#[test]
fn an_answer_after_the_deadline_is_counted_and_not_heard() {
    let (runtime, gate) = (runtime(2), Gate::default());
    let port = runtime.port();
    let at = gate.clone();
    let late = runtime.spawn(&agent(move |hears, cx| {
        if let (Hears::Message(..), Some(to)) = (hears, cx.asked()) {
            at.pass();
            cx.reply(to, Number(1));
        }
    }));
    let asker = runtime.spawn(&asks(port.id(), late, &[ANSWERS], Duration::ZERO));
    assert_eq!(number(&port), 100);
    gate.open();
    until(|| dead(&runtime, "late-answer") == 1);
    port.send(asker, Number(77)).unwrap();
    assert_eq!(number(&port), 77, "the late answer was not heard");
}

#[test]
fn whoever_asks_an_agent_that_ends_is_told_how_it_ended() {
    let always = Restart::Always { backoff: Duration::ZERO };
    for (order, restart, ends) in [
        // The stopping agent took the first question; what it did not come to is buried.
        (STOPS, Restart::Never, 301),
        (PANICS, Restart::Never, 302),
        (PANICS, always, 303),
    ] {
        let (runtime, gate) = (runtime(2), Gate::default());
        let port = runtime.port();
        let at = gate.clone();
        let script = move |hears: Hears, cx: &mut Context| {
            if let Hears::Message(_, 0) = hears {
                at.pass();
            }
            answers(hears, cx);
        };
        let answerer = runtime.spawn(&agent(script).restart(restart));
        port.send(answerer, Number(0)).unwrap();
        gate.await_waiting(1);
        // All of these wait together: some are taken for the fatal turn, and not come to.
        port.send(answerer, Number(order)).unwrap();
        runtime.spawn(&asks(port.id(), answerer, &[ANSWERS; 100], LONG));
        until(|| runtime.status().agents.iter().any(|agent| agent.waiting == 101));
        gate.open();
        assert_eq!(numbers(&port, 100), [ends; 100], "order {order}");
    }
}

#[test]
fn the_question_over_which_an_agent_panics_ends_at_once() {
    let runtime = runtime(2);
    let port = runtime.port();
    let answerer = runtime.spawn(&agent(answers));
    runtime.spawn(&asks(port.id(), answerer, &[PANICS], LONG));
    assert_eq!(number(&port), 302);
    let always = Restart::Always { backoff: Duration::ZERO };
    let answerer = runtime.spawn(&agent(answers).restart(always));
    runtime.spawn(&asks(port.id(), answerer, &[PANICS], LONG));
    assert_eq!(number(&port), 303);
}

#[test]
fn a_question_that_finds_no_room_or_nobody_ends_at_once() {
    let (runtime, gate) = (runtime(3), Gate::default());
    let port = runtime.port();
    let at = gate.clone();
    let bounds = MailboxBounds { messages: 1, ..MailboxBounds::default() };
    let busy = runtime.spawn(&agent(move |_, _| at.pass()).mailbox(bounds));
    gate.await_waiting(1);
    port.send(busy, Number(0)).unwrap();
    runtime.spawn(&asks(port.id(), busy, &[ANSWERS], LONG));
    assert_eq!(number(&port), 201);
    runtime.spawn(&asks(port.id(), AgentId(99), &[ANSWERS], LONG));
    assert_eq!(number(&port), 202);
    gate.open();
}

#[test]
fn a_question_can_be_answered_later_and_by_another() {
    let runtime = runtime(2);
    let asker = runtime.port_as(AgentId(5)).expect("5 is free");
    // Where an answer goes is plain data: here its parts are a constant and a number.
    let second = runtime.spawn(&agent(|hears, cx| {
        if let Hears::Message(_, asked) = hears {
            let ask = AskId(NonZeroU64::new(asked).expect("questions count from 1"));
            cx.reply(ReplyTo { agent: AgentId(5), ask }, Number(42));
        }
    }));
    let first = runtime.spawn(&agent(move |hears, cx| {
        if let (Hears::Message(..), Some(to)) = (hears, cx.asked()) {
            assert_eq!(to.agent, AgentId(5));
            cx.send(second, Number(to.ask.0.get()));
        }
    }));
    let answer = asker.ask_blocking(first, Number(0), LONG).unwrap();
    assert_eq!(answer.from, second);
    assert_eq!(answer.open::<Number>().unwrap(), Number(42));
}

#[test]
fn an_answer_of_another_type_is_no_answer_to_read() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(&agent(|_, cx| {
        if let Some(to) = cx.asked() {
            cx.reply(to, Alien);
        }
    }));
    let answer = port.ask_blocking(id, Number(0), LONG).unwrap();
    assert!(answer.open::<Number>().is_err());
}

#[test]
fn a_question_of_a_new_lifes_first_step_has_an_end() {
    let runtime = runtime(1);
    let (port, silent) = (runtime.port(), runtime.port());
    let (to, silent) = (port.id(), silent.id());
    let asks = move |hears: Hears, cx: &mut Context| match hears {
        Hears::Start if cx.restarts() > 0 => {
            cx.ask(silent, Number(0), Duration::from_millis(1));
        }
        Hears::Message(..) => panic!("as it is told"),
        Hears::Reply(_, answer) => cx.send(to, Number(code(answer))),
        _ => {}
    };
    // Nobody else's doings on its thread remind it of the time.
    let own = Placement::Thread { pin: None };
    let policy = Restart::Always { backoff: Duration::ZERO };
    for _ in 0..20 {
        let id = runtime.spawn(&agent(asks).placement(own).restart(policy));
        port.send(id, Number(PANICS)).unwrap();
        assert_eq!(number(&port), 100);
    }
}

#[test]
fn a_port_that_takes_an_id_over_hears_the_answers_to_its_own_questions() {
    let runtime = runtime(1);
    let answerer = runtime.spawn(&agent(answers));
    for _ in 0..3 {
        let port = runtime.port_as(AgentId(5)).expect("5 is free");
        let answer = port.ask_blocking(answerer, Number(ANSWERS), LONG);
        assert_eq!(code(answer), 1);
    }
    assert_eq!(dead(&runtime, "late-answer"), 0);
}
