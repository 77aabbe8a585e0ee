//! What the desktop companion knows without a window: the words it says, what its lists hold, what is
//! kept for this device alone. All of it is told by values, so that it is tested without a display; the
//! window in `window/` only shows it.

pub mod address;
pub mod announce;
pub mod autostart;
pub mod compose;
pub mod conversations;
pub mod invite;
pub mod keys;
pub mod marks;
pub mod preferences;
pub mod rows;
pub mod text;
pub mod time;
pub mod timeline;
pub mod words;
