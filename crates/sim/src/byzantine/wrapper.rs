//! The wrapper around a liar's effects.

use dx_agents::effect::Effect;
use dx_agents::id::ReplyTo;
use dx_agents::message::{self, Body, Encoded};
use dx_agents::{AgentId, AskId, Message};

use super::alteration::altered;
use super::{Behaviour, Liar, Lie, Own, Said};
use crate::choices::Details;
use crate::schedule::Due;
use crate::sim::{Seat, Sim};
use crate::trace::{Happened, What, fold};

/// Messages of a liar that are remembered, to be said again: enough for some rounds of a small
/// cluster. A guess.
const REMEMBERED: usize = 64;

/// Versions of a message that are told by one that equivocates, beside the true one.
const VERSIONS: u64 = 2;

/// Changes of a message that are told apart.
const PLACES: u64 = 1 << 16;

/// The steps in which a delay is drawn.
const DELAYS: u64 = 1 << 10;

/// Ways of a lie that a search tries.
const FEW: u64 = 2;

/// Said, and to be sent later.
pub(crate) struct Late {
    effect: Effect,
}

/// Where something said goes.
#[derive(Clone, Copy)]
enum Address {
    Agent(AgentId, Option<AskId>),
    Asker(ReplyTo),
}

/// A lie, with what was drawn for it.
enum Drawn {
    Silence,
    Delay(u64),
    Replay { which: usize, to_whom_it_was_said: bool },
    Alter(Lie, u64),
}

impl Address {
    fn agent(self) -> AgentId {
        match self {
            Self::Agent(to, _) => to,
            Self::Asker(to) => to.agent,
        }
    }

    fn effect(self, body: Body) -> Effect {
        match self {
            Self::Agent(to, ask) => Effect::Send { to, ask, body },
            Self::Asker(to) => Effect::Reply { to, body },
        }
    }
}

/// Whether a message is of this type.
pub(super) fn is_a<M: Message>(body: &Body) -> bool {
    let tag = match body {
        Body::Typed(message) => message.any_tag(),
        Body::Wire(wire) => wire.encoded.tag,
    };
    tag == const { message::tag(M::NAME) }
}

impl Sim {
    /// What leaves an agent instead of `effects`.
    pub(crate) fn twist(&mut self, slot: u32, effects: &mut Vec<Effect>) {
        let Some(who) = self.resident(slot).map(|resident| resident.cell.id()) else { return };
        let Some(mut liar) = self.liars.by_id.remove(&who) else { return };
        let mut speech = Speech { slot, who, said: Vec::with_capacity(effects.len()) };
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, ask, body } => {
                    self.utter(&mut liar, &mut speech, Address::Agent(to, ask), body);
                }
                Effect::Reply { to, body } => {
                    self.utter(&mut liar, &mut speech, Address::Asker(to), body);
                }
                other => speech.said.push(other),
            }
        }
        *effects = speech.said;
        self.liars.by_id.insert(who, liar);
    }

    /// Something late is due.
    pub(crate) fn say_late(&mut self, slot: u32, number: u32) {
        let Some(Late { effect }) = self.liars.late.take(number) else { return };
        let Some(place) = self.resident(slot).map(|resident| resident.node) else { return };
        self.departs = self.now;
        self.carry_out_one(slot, place, effect);
    }

    /// First by the test's own wrapper, then by what is drawn.
    fn utter(&mut self, liar: &mut Liar, speech: &mut Speech, address: Address, body: Body) {
        let Some(own) = &mut liar.own else {
            return self.utter_by_chance(liar, speech, address, body);
        };
        match by_own(own, &mut self.choices, address, body) {
            Err(body) => self.utter_by_chance(liar, speech, address, body),
            Ok(instead) => {
                self.note_lie(speech.who, Lie::Own, address.agent());
                for (address, body) in instead {
                    self.utter_by_chance(liar, speech, address, body);
                }
            }
        }
    }

    fn utter_by_chance(
        &mut self,
        liar: &mut Liar,
        speech: &mut Speech,
        address: Address,
        body: Body,
    ) {
        let Liar { behaviour, said, .. } = liar;
        let Some(behaviour) = behaviour.as_ref().filter(|it| !it.lies.is_empty()) else {
            return speech.said.push(address.effect(body));
        };
        let Some(encoded) = encoded(&body) else {
            // Too large, or of no encoding: it will be refused as an honest agent's is.
            return speech.said.push(address.effect(body));
        };
        let known = said.len();
        let is_fine = self.choices.window().is_none();
        let drawn = self
            .choices
            .event("lie", behaviour.probability, |how| Drawn::draw(behaviour, known, is_fine, how));
        match drawn {
            None => speech.said.push(address.effect(body)),
            Some(Drawn::Silence) => self.note_lie(speech.who, Lie::Silence, address.agent()),
            Some(Drawn::Delay(nanos)) => {
                self.note_lie(speech.who, Lie::Delay, address.agent());
                let number = self.liars.late.put(Late { effect: address.effect(body) });
                let due = Due::Late { slot: speech.slot, number };
                self.schedule.add(self.now.saturating_add(nanos), due, &mut self.choices);
            }
            Some(Drawn::Replay { which, to_whom_it_was_said }) => {
                speech.said.push(address.effect(body));
                if let Some(Said { to, ask, what }) = said.get(which) {
                    let to = if to_whom_it_was_said { *to } else { address.agent() };
                    self.note_lie(speech.who, Lie::Replay, to);
                    let body = what.clone().into();
                    speech.said.push(Effect::Send { to, ask: *ask, body });
                }
            }
            Some(Drawn::Alter(lie, start)) => {
                let start = match lie {
                    // The same for the same message, whoever hears it.
                    Lie::Equivocation => fold(fold(0, start), hash_of(&encoded)),
                    _ => start,
                };
                let changed = altered(&encoded, start, |it| self.decodes(address, &body, it));
                self.note_lie(speech.who, lie, address.agent());
                speech.said.extend(changed.map(|changed| address.effect(changed.into())));
            }
        }
        if let Address::Agent(to, ask) = address {
            if said.len() == REMEMBERED {
                said.pop_front();
            }
            said.push_back(Said { to, ask, what: encoded });
        }
    }

    /// Whether a changed message is still one: of the type that it was, as far as that is known,
    /// else one that the receiver takes.
    fn decodes(&self, address: Address, body: &Body, changed: &Encoded) -> bool {
        if let Body::Typed(message) = body {
            return message.decodes(changed);
        }
        match self.places.get(&address.agent()).map(|place| place.seat) {
            Some(Seat::Agent(slot)) => {
                self.resident(slot).is_some_and(|resident| resident.cell.takes(changed))
            }
            _ => false,
        }
    }

    fn note_lie(&mut self, who: AgentId, lie: Lie, to: AgentId) {
        self.liars.told[lie as usize] += 1;
        let (detail, payload) = (to.0, lie as u64);
        self.trace.note(Happened { at: self.now, to: who, what: What::Lied, detail, payload });
    }
}

/// What an agent says in one step.
struct Speech {
    slot: u32,
    who: AgentId,
    said: Vec<Effect>,
}

impl Drawn {
    /// A search tries few ways of each lie, not all.
    fn draw(behaviour: &Behaviour, known: usize, is_fine: bool, how: &mut Details) -> Self {
        let few = |bound: u64| if is_fine { bound } else { bound.min(FEW) };
        let lie = behaviour.lies[how.choose("which-lie", behaviour.lies.len() as u64) as usize];
        match lie {
            // A test's own lies were left out: they are not drawn.
            Lie::Silence | Lie::Own => Self::Silence,
            Lie::Delay => {
                let latest = u64::try_from(behaviour.latest.as_nanos()).unwrap_or(u64::MAX);
                Self::Delay(
                    (latest / DELAYS).saturating_mul(
                        1 + how.choose("late", few(DELAYS)) * (DELAYS / few(DELAYS)),
                    ),
                )
            }
            Lie::Replay => Self::Replay {
                which: how.choose("what-was-said", few(known.max(1) as u64)) as usize,
                to_whom_it_was_said: how.choose("to-this-one", 2) == 0,
            },
            Lie::Corruption => Self::Alter(lie, how.choose("change", few(PLACES))),
            Lie::Equivocation => Self::Alter(lie, how.choose("version", VERSIONS)),
        }
    }
}

/// What a test's own wrapper makes of a message.
fn by_own(
    own: &mut Own,
    choices: &mut crate::choices::Choices,
    address: Address,
    body: Body,
) -> Result<Vec<(Address, Body)>, Body> {
    let mut first = Some(address);
    let said = own(address.agent(), body, choices)?;
    let addressed = said.into_iter().map(|(to, body)| {
        let same = if to == address.agent() { first.take() } else { None };
        (same.unwrap_or(Address::Agent(to, None)), body)
    });
    Ok(addressed.collect())
}

fn encoded(body: &Body) -> Option<Encoded> {
    match body {
        Body::Typed(message) => message.encode().ok(),
        Body::Wire(wire) => Some(wire.encoded.clone()),
    }
}

fn hash_of(encoded: &Encoded) -> u64 {
    let bytes = encoded.value.iter().chain(&encoded.body);
    bytes.fold(0, |hash, byte| fold(hash, u64::from(*byte)))
}
