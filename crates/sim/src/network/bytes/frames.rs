//! What nodes tell each other, as the frames that real nodes exchange.

use bytes::Bytes;
use dx_agents::message::Body;
use dx_agents::remote::parcel;
use dx_agents::remote::wire::{BadFrame, Frame as Wire, Head};
use dx_agents::{AgentId, Lane};
use dx_transport::codec::EncodeError;
use dx_transport::id::Incarnation;
use dx_transport::{Batch, Message};

use crate::network::{Frame, Outgoing};

/// What a frame says: as the simulator has it, or a probe, which travels in each lane.
pub(super) enum Said {
    Frame(Frame),
    Probe { to: AgentId, round: u64, lane: Lane },
}

/// Encodes `frame` for this life of its receiver: in which lanes, and how.
pub(super) fn encode(
    frame: &Frame,
    life: Incarnation,
) -> Result<(&'static [Lane], Bytes), EncodeError> {
    let mut out = Vec::with_capacity(64);
    let lanes = match frame {
        Frame::Letter(outgoing) | Frame::Datagram(outgoing) => {
            let Outgoing { from, to, ask, ref body, lane, .. } = *outgoing;
            let head = match ask {
                None => Head::Tell { to, from },
                Some(ask) => Head::Ask { to, from, ask },
            };
            parcel::write(head, body, &mut out)?;
            only(lane)
        }
        Frame::Answer { to, from, answer: Ok(body) } => {
            parcel::write(Head::Reply { to: *to, from: *from }, body, &mut out)?;
            only(body.lane())
        }
        Frame::Probe { to, round } => {
            Wire::Probe { to: *to, round: *round }.write(&mut out);
            &Lane::ALL
        }
        news => {
            wire(news, life).write(&mut out);
            only(Lane::Urgent)
        }
    };
    Ok((lanes, Bytes::from(out)))
}

/// A frame that needs no encoding of a message.
fn wire(news: &Frame, life: Incarnation) -> Wire<'static> {
    match *news {
        Frame::Answer { to, from, answer: Err(error) } => Wire::Failed { to, from, error },
        Frame::Watch { who, is_on: true } => Wire::Watch(who),
        Frame::Watch { who, is_on: false } => Wire::Unwatch(who),
        Frame::Down { who, why } => Wire::Down(who, why),
        Frame::Grant { to, freed, share } => Wire::Grant { life, to, freed, share },
        Frame::Held { to, round, held } => Wire::Held { life, to, round, held },
        Frame::Probe { to, round } => Wire::Probe { to, round },
        Frame::Letter(_) | Frame::Datagram(_) | Frame::Answer { answer: Ok(_), .. } => {
            unreachable!("a message is written with its value")
        }
    }
}

/// Decodes the messages of a batch to a node in this life. What was for another one is left out.
pub(super) fn decode(batch: &Batch, life: Incarnation) -> Result<Vec<Said>, BadFrame> {
    let lane = Lane::ALL[batch.lane().index()];
    batch.iter().filter_map(|message| read(message, lane, life).transpose()).collect()
}

fn read(message: Message<'_>, lane: Lane, own: Incarnation) -> Result<Option<Said>, BadFrame> {
    let frame = match Wire::read(message.as_slice())? {
        Wire::Content(head, content) => {
            let bytes = (content.value.len() + content.body.len()) as u64;
            let body: Body = parcel::read(content, message, lane).into();
            let (from, to, ask) = match head {
                Head::Tell { to, from } => (from, to, None),
                Head::Ask { to, from, ask } => (from, to, Some(ask)),
                Head::Reply { to, from } => {
                    return Ok(Some(Said::Frame(Frame::Answer { to, from, answer: Ok(body) })));
                }
            };
            // Its hash is taken when it is accepted.
            Frame::Letter(Outgoing { from, to, ask, body, bytes, hash: 0, lane })
        }
        Wire::Failed { to, from, error } => Frame::Answer { to, from, answer: Err(error) },
        Wire::Watch(who) => Frame::Watch { who, is_on: true },
        Wire::Unwatch(who) => Frame::Watch { who, is_on: false },
        Wire::Down(who, why) => Frame::Down { who, why },
        Wire::Grant { life, .. } | Wire::Held { life, .. } if life != own => return Ok(None),
        Wire::Grant { life: _, to, freed, share } => Frame::Grant { to, freed, share },
        Wire::Probe { to, round } => return Ok(Some(Said::Probe { to, round, lane })),
        Wire::Held { life: _, to, round, held } => Frame::Held { to, round, held },
    };
    Ok(Some(Said::Frame(frame)))
}

/// The lane alone.
fn only(lane: Lane) -> &'static [Lane] {
    match lane {
        Lane::Urgent => &[Lane::Urgent],
        Lane::Normal => &[Lane::Normal],
        Lane::Bulk => &[Lane::Bulk],
    }
}
