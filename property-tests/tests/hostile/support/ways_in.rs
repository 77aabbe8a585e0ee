//! Ways into a group, and what lies on the wire while somebody takes one.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use property_tests::World;
use sync_protocol::SpaceId;
use sync_protocol::envelope::{Envelope, Kind, aad};
use sync_protocol::frames::{ClientFrame, Push};

pub use property_tests::adversary::ways_in::*;

use super::{Shared, forge, shared};

/// What lies on the wire from devices to the relay.
#[derive(Clone)]
pub struct Tap {
    pushed: Shared<Vec<(usize, Push)>>,
}

impl Tap {
    /// Listens; of what it hears, `keeps` may be kept from the relay.
    pub fn on(world: &mut World, mut keeps: impl FnMut(usize, &Push) -> bool + 'static) -> Self {
        let pushed = shared(Vec::new());
        let heard = pushed.clone();
        world.set_bender(Some(Box::new(move |device, frame| match &frame {
            ClientFrame::Push(push) => {
                heard.borrow_mut().push((device, push.clone()));
                if keeps(device, push) { Vec::new() } else { vec![frame] }
            }
            _ => vec![frame],
        })));
        Self { pushed }
    }

    /// What a device pushed in a space.
    pub fn of(&self, device: usize, space: SpaceId) -> Vec<Envelope> {
        let pushed = self.pushed.borrow();
        let own = pushed.iter().filter(|(by, push)| *by == device && push.space == space);
        let envelopes = own.flat_map(|(_, push)| push.envelopes.iter());
        envelopes.map(|bytes| Envelope::parse(bytes.as_slice()).unwrap()).collect()
    }

    /// What of it is content: a commit by which a device comes in says nothing that others may not
    /// know.
    pub fn written(&self, device: usize, space: SpaceId) -> Vec<Envelope> {
        let mut all = self.of(device, space);
        all.retain(|envelope| envelope.header.kind == Kind::Content);
        all
    }

    /// How much of what it wrote there somebody opens who has this root.
    pub fn opened(&self, world: &World, device: usize, space: SpaceId, root: &[u8; 32]) -> usize {
        let Some(writer) = writer(world, device) else { return 0 };
        let key = forge::content_key(root, &writer);
        let opens = |envelope: &Envelope| {
            let aad = aad(&space, &writer, envelope.header_bytes());
            opens(&key, &aad, envelope.payload())
        };
        self.written(device, space).iter().filter(|envelope| opens(envelope)).count()
    }
}

fn opens(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> bool {
    let Some((nonce, ciphertext)) = sealed.split_first_chunk::<24>() else { return false };
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad }).is_ok()
}
