//! Invites: codes that this account draws, by which others come to a relay that lets in the invited alone.

use sync_protocol::frames::{Answer, Op, token_hash};
use sync_protocol::text::BASE32;
use sync_protocol::{Rejection, limits};

use crate::api::{CommandId, Failure, InviteView, Response};
use crate::engine::Step;
use crate::engine::session::{Asked, Session};
use crate::engine::turn::Turn;

/// Bytes of an invite's code: nobody comes upon one by guessing.
const CODE: usize = 16;

impl Session {
    /// Draws an invite. The relay is told the hash of its code alone.
    pub(in crate::engine) fn draw_invite(
        &mut self,
        turn: &mut Turn,
        id: CommandId,
    ) -> Step<Option<Response>> {
        if !self.is_open() {
            return Err(Failure::Offline.into());
        }
        let seed = turn.seed();
        let code = seed.first_chunk::<CODE>().expect("a seed is longer than a code");
        let code = BASE32.encode(code).to_ascii_lowercase();
        let op = Op::DrawInvite { hash: token_hash(&code) };
        self.ask(turn, op, Asked::Invite(id, code));
        Ok(None)
    }
}

/// What is told of an invite that was drawn at a time, by what the relay answered.
pub(in crate::engine) fn drawn(
    code: String,
    answer: &Answer,
    wall: u64,
) -> Result<Response, Failure> {
    let until_ms = wall.saturating_add(limits::INVITE_MS);
    match answer {
        Answer::Done => Ok(Response::Invite(InviteView { code, until_ms })),
        Answer::Refused(reason) => Err(reason.clone().into()),
        _ => Err(Rejection::Invalid.into()),
    }
}
