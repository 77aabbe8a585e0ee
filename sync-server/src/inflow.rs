//! What comes in on a socket, put together: whole messages, and what to say about one that is too
//! large to be kept.
//!
//! A device that pushes more than a message may have is told so in the space it is about, and goes
//! on. Otherwise it would connect anew and push the same.

use minicbor::Decoder;
use sync_protocol::ProtocolError;
use sync_protocol::codec::Assembler;
use sync_protocol::ids::SpaceId;

/// Bytes of a message by which it is known what it is.
const HEAD: usize = 64;

/// What a part led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// The message goes on.
    More,
    /// The whole message.
    Whole(Vec<u8>),
    /// A push into this space has ended that is larger than a message may be.
    TooLarge(SpaceId),
}

/// A socket's parts.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    assembler: Assembler,
    over: Option<Over>,
}

/// A push that is being passed over.
#[derive(Debug)]
struct Over {
    space: SpaceId,
    passed: usize,
}

impl Inflow {
    /// Takes one WebSocket message.
    ///
    /// # Errors
    /// `TooLarge` for anything but a push, and for a push of more than twice the limit;
    /// `Malformed`. Then the connection is of no use.
    pub(crate) fn take(&mut self, part: &[u8], limit: usize) -> Result<Arrived, ProtocolError> {
        if let Some(over) = &mut self.over {
            over.passed += part.len();
            if over.passed > limit {
                return Err(ProtocolError::TooLarge { what: "message", limit });
            }
        } else {
            match self.assembler.push(part, limit) {
                Ok(None) => return Ok(Arrived::More),
                Ok(Some(whole)) => return Ok(Arrived::Whole(whole)),
                Err(error @ ProtocolError::TooLarge { .. }) => {
                    let partial = self.assembler.give_up();
                    let space = pushed_to(partial.get(..HEAD).unwrap_or_default());
                    let space = space.ok_or(error)?;
                    self.over = Some(Over { space, passed: 0 });
                }
                Err(error) => return Err(error),
            }
        }
        if !Assembler::is_last(part) {
            return Ok(Arrived::More);
        }
        let over = self.over.take().ok_or(ProtocolError::Malformed("part"))?;
        Ok(Arrived::TooLarge(over.space))
    }
}

/// The space that a push is for, by the push's first bytes.
fn pushed_to(head: &[u8]) -> Option<SpaceId> {
    let mut decoder = Decoder::new(head);
    let is = |found: Option<u64>, expected: u64| (found? == expected).then_some(());
    is(decoder.array().ok()?, 2)?;
    is(decoder.u64().ok(), 1)?;
    is(decoder.array().ok()?, 1)?;
    decoder.map().ok()?;
    is(decoder.u64().ok(), 0)?;
    decoder.decode().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sync_protocol::codec::{Blob, parts};
    use sync_protocol::frames::{ClientFrame, Push};

    const LIMIT: usize = 20_000;

    fn push(bytes: usize) -> Vec<u8> {
        let space = SpaceId::from_bytes([3; 32]);
        let envelopes = vec![Blob(vec![7; bytes])];
        ClientFrame::Push(Push { space, envelopes, welcomes: None, ticket: None }).to_bytes()
    }

    fn run(inflow: &mut Inflow, message: &[u8]) -> Result<Vec<Arrived>, ProtocolError> {
        let all = parts(message).map(|part| inflow.take(&part, LIMIT));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        Ok(all.into_iter().filter(|one| *one != Arrived::More).collect())
    }

    #[test]
    fn a_push_that_is_too_large_is_passed_over_and_the_next_is_taken() {
        let mut inflow = Inflow::default();
        for bytes in [LIMIT, LIMIT + 5_000, 2 * LIMIT - 5_000] {
            let space = SpaceId::from_bytes([3; 32]);
            assert_eq!(run(&mut inflow, &push(bytes)).unwrap(), [Arrived::TooLarge(space)]);
            let good = push(100);
            assert_eq!(run(&mut inflow, &good).unwrap(), [Arrived::Whole(good)]);
        }
    }

    #[test]
    fn what_is_no_push_or_has_no_end_is_an_error() {
        let too_large = Err(ProtocolError::TooLarge { what: "message", limit: LIMIT });
        assert_eq!(run(&mut Inflow::default(), &push(3 * LIMIT)), too_large);
        let ack = ClientFrame::Ack { cursor: Blob(vec![1; LIMIT]) }.to_bytes();
        assert_eq!(run(&mut Inflow::default(), &ack), too_large);
        assert_eq!(run(&mut Inflow::default(), &[0xff; LIMIT + 1]), too_large);
    }
}
