//! The engine for programs: methods by name, and parameters, results, errors and notifications as
//! JSON. Every host that serves programs speaks it; `examples/chat/README.md` is the contract.

mod contract;
mod error;
mod methods;
mod notices;
mod params;
mod people;
#[cfg(all(test, not(target_family = "wasm")))]
mod shape_tests;
mod shapes;

pub use contract::methods;
pub use error::{CallError, Fault};
pub use methods::{Plan, Shape, plan};
pub use notices::{FEW, Notification, RECENT, announcement, notification};
pub use people::{Known, People};
pub use shapes::{message, response, status};
