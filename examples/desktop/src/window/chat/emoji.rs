//! Reactions that are one press away.

/// Those.
pub(super) const FIRST: [&str; 6] = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
