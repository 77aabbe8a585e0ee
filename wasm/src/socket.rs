//! One connection to the relay: whole messages in and out, in parts of bounded size.
//!
//! Nothing here decides anything: the engine says when to connect, when to give up and how long to
//! wait. A browser answers the relay's pings by itself and tells of a closed connection.

use std::cell::RefCell;
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{ArrayBuffer, Uint8Array};
use sync_core::host;
use sync_protocol::codec::{Assembler, parts_up};
use sync_protocol::limits;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, Event, MessageEvent, Url, WebSocket};

/// The path of the relay's socket (`docs/protocol.md`, "Sessions").
const SOCKET: &str = "/v1/socket";
/// How long opening may take.
const OPENING_MS: u32 = 10_000;
/// Bytes that may wait for a slow relay before the connection is given up.
const SEND_QUEUE: u32 = 16 * 1024 * 1024;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// Nothing answers there, or the browser may not talk to it; it doesn't say which.
    #[error("the relay can't be reached")]
    Unreachable,
    /// It took too long.
    #[error("the relay doesn't answer in time")]
    Timeout,
    /// Something else answers there.
    #[error("what answers there is not a relay ({0})")]
    NotARelay(String),
    /// The connection broke.
    #[error("the connection broke ({0})")]
    Broken(&'static str),
}

/// What happens on a socket.
pub(crate) type Happening = host::Happening<ConnectError>;

/// The relay's address as a person writes it, or that of the page's own server, as the socket's. The
/// same addresses count as in `sync-client`.
pub(crate) fn socket_url(relay: &str) -> Option<String> {
    let url = Url::new(relay.trim()).ok()?;
    let scheme = match url.protocol().as_str() {
        "ws:" | "http:" => "ws:",
        "wss:" | "https:" => "wss:",
        _ => return None,
    };
    let is_plain = url.hash().is_empty() && url.username().is_empty() && url.port() != "0";
    let path = url.pathname();
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(SOCKET).unwrap_or(path).trim_end_matches('/');
    is_plain.then(|| format!("{scheme}//{}{path}{SOCKET}{}", url.host(), url.search()))
}

/// A connection, or an attempt at one. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: Option<WebSocket>,
    tell: Teller,
    _closures: Vec<Closure<dyn FnMut(Event)>>,
    _opening: Rc<RefCell<Option<Timeout>>>,
}

/// Tells the host, and falls silent after the end.
#[derive(Clone)]
struct Teller(Rc<RefCell<Option<Box<dyn FnMut(Happening)>>>>);

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teller")
    }
}

impl Teller {
    fn tell(&self, happening: Happening) {
        let mut happen = self.0.borrow_mut();
        let is_end = matches!(happening, Happening::Closed(_));
        if let Some(happen) = happen.as_mut() {
            happen(happening);
        }
        if is_end {
            *happen = None;
        }
    }

    fn end(&self, why: Option<ConnectError>) {
        self.tell(Happening::Closed(why));
    }
}

impl Socket {
    /// Starts to connect; `happen` is told of everything, ending with one `Closed`.
    pub(crate) fn open(url: &str, happen: impl FnMut(Happening) + 'static) -> Self {
        let tell = Teller(Rc::new(RefCell::new(Some(Box::new(happen)))));
        let Ok(socket) = WebSocket::new(url) else {
            // The browser's policies forbid it, such as ws:// from a page that came by https://.
            tell.end(Some(ConnectError::Unreachable));
            return Self { socket: None, tell, _closures: Vec::new(), _opening: Rc::default() };
        };
        socket.set_binary_type(BinaryType::Arraybuffer);
        let opening = Rc::new(RefCell::new(Some(give_up_later(&socket, &tell))));
        let closures = vec![
            opened(&socket, &tell, &opening),
            received(&socket, &tell),
            closed(&socket, &tell, &opening),
        ];
        Self { socket: Some(socket), tell, _closures: closures, _opening: opening }
    }

    /// Sends a whole message. A relay that takes nothing for too long loses the connection.
    pub(crate) fn send(&self, message: &[u8]) {
        let Some(socket) = &self.socket else { return };
        if socket.buffered_amount() > SEND_QUEUE {
            self.tell.end(Some(ConnectError::Broken("it takes nothing more")));
            return;
        }
        for part in parts_up(message) {
            // Fails only before the socket is open, and the engine sends nothing then.
            let _ = socket.send_with_u8_array(&part);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        *self.tell.0.borrow_mut() = None;
        if let Some(socket) = &self.socket {
            socket.set_onopen(None);
            socket.set_onmessage(None);
            socket.set_onclose(None);
            // What was sent before still goes out.
            let _ = socket.close();
        }
    }
}

fn give_up_later(socket: &WebSocket, tell: &Teller) -> Timeout {
    let (socket, tell) = (socket.clone(), tell.clone());
    Timeout::new(OPENING_MS, move || {
        tell.end(Some(ConnectError::Timeout));
        let _ = socket.close();
    })
}

type Opening = Rc<RefCell<Option<Timeout>>>;

fn opened(socket: &WebSocket, tell: &Teller, opening: &Opening) -> Closure<dyn FnMut(Event)> {
    let (tell, opening) = (tell.clone(), opening.clone());
    let closure = Closure::<dyn FnMut(Event)>::new(move |_| {
        opening.borrow_mut().take();
        tell.tell(Happening::Opened);
    });
    socket.set_onopen(Some(closure.as_ref().unchecked_ref()));
    closure
}

fn received(socket: &WebSocket, tell: &Teller) -> Closure<dyn FnMut(Event)> {
    let tell = tell.clone();
    let mut assembler = Assembler::default();
    let closure = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
        let data = event.unchecked_ref::<MessageEvent>().data();
        let Some(part) = data.dyn_ref::<ArrayBuffer>() else {
            return tell.end(Some(ConnectError::NotARelay("text".to_owned())));
        };
        match assembler.push(&Uint8Array::new(part).to_vec(), limits::MESSAGE) {
            Ok(Some(message)) => tell.tell(Happening::Message(message)),
            Ok(None) => {}
            Err(error) => tell.end(Some(ConnectError::NotARelay(error.to_string()))),
        }
    });
    socket.set_onmessage(Some(closure.as_ref().unchecked_ref()));
    closure
}

fn closed(socket: &WebSocket, tell: &Teller, opening: &Opening) -> Closure<dyn FnMut(Event)> {
    let (tell, opening) = (tell.clone(), opening.clone());
    let closure = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
        let was_opening = opening.borrow_mut().take().is_some();
        let clean = js_sys::Reflect::get(&event, &"wasClean".into());
        let why = match (was_opening, clean.is_ok_and(|clean| clean.is_truthy())) {
            (true, _) => Some(ConnectError::Unreachable),
            (false, true) => None,
            (false, false) => Some(ConnectError::Broken("it ended without a word")),
        };
        tell.end(why);
    });
    socket.set_onclose(Some(closure.as_ref().unchecked_ref()));
    closure
}
