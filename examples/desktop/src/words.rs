//! What the app says: names, counts, and failures in words for people.

use sync_client::{
    AccountId, ConversationView, DeviceView, Failure, MemberView, Problem, Rejection, Status,
    Unreadable,
};

use crate::keys::Place;
use crate::time::Clock;

/// "Ada, Bob and Cleo"
#[must_use]
pub fn listed<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<_> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// "1 message", "2 messages": `many` is one with an `s`.
#[must_use]
pub fn count(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// A member's name, or what else is known.
#[must_use]
pub fn name_of(member: Option<&MemberView>) -> String {
    let known = member.and_then(|member| {
        let name = member.name.trim();
        if name.is_empty() { member.address.clone() } else { Some(name.to_owned()) }
    });
    known.unwrap_or_else(|| "Somebody".to_owned())
}

/// Somebody in a conversation.
#[must_use]
pub fn member_of(view: &ConversationView, account: AccountId) -> Option<&MemberView> {
    view.members.iter().find(|member| member.account == account)
}

/// A name within a sentence of ours: between quotation marks that it can't close, and apart from the
/// reading direction of what stands around it.
#[must_use]
pub fn quoted(name: &str) -> String {
    let is_mark =
        |c: char| matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '〝' | '〞' | '＂');
    let name: String = name.chars().map(|c| if is_mark(c) { '\'' } else { c }).collect();
    format!("“\u{2068}{name}\u{2069}”")
}

/// What to call a conversation: its title, or who is in it.
#[must_use]
pub fn title_of(view: &ConversationView, me: Option<AccountId>) -> String {
    let title = view.title.trim();
    if !title.is_empty() {
        return title.to_owned();
    }
    let others = view.members.iter().filter(|member| Some(member.account) != me);
    let mut names: Vec<_> = others.map(|member| name_of(Some(member))).collect();
    names.extend(view.adding.iter().cloned());
    if names.is_empty() { "Only you".to_owned() } else { listed(&names) }
}

/// What stands below a conversation's title: who is in it, or is being added.
#[must_use]
pub fn subtitle_of(view: &ConversationView, me: Option<AccountId>) -> String {
    let others: Vec<_> = view.members.iter().filter(|member| Some(member.account) != me).collect();
    if let ([other], true, true) =
        (others.as_slice(), view.title.trim().is_empty(), view.adding.is_empty())
    {
        // Without a title it is called by their name already.
        return other.address.clone().unwrap_or_default();
    }
    let mut names = vec!["You".to_owned()];
    names.extend(others.iter().map(|member| name_of(Some(member))));
    names.extend(view.adding.iter().map(|address| format!("{address} (being added)")));
    if names.len() == 1 { "Only you".to_owned() } else { names.join(", ") }
}

/// "Ada is typing…", "Ada and Bob are typing…"
#[must_use]
pub fn typing<T: AsRef<str>>(names: &[T]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb} typing…", listed(names))
}

/// "12 changes from 3 May 2026 to 5 May 2026 can’t be read on your devices."
#[must_use]
pub fn unreadable(of: &Unreadable, clock: &Clock) -> String {
    let (Some(first), Some(last)) = (of.first_ms, of.last_ms) else {
        return "What was written before this device came can’t be read on your devices."
            .to_owned();
    };
    let (first, last) = (clock.full_date(first), clock.full_date(last));
    let span = if first == last { first } else { format!("{first} to {last}") };
    let what = match of.changes {
        1 => "1 message or other change".to_owned(),
        many => format!("{many} messages and other changes"),
    };
    format!("{what} from {span} can’t be read on your devices.")
}

/// What to call a device.
#[must_use]
pub fn device_name(device: &DeviceView) -> String {
    let name = device.name.trim();
    if !name.is_empty() {
        return name.to_owned();
    }
    let id: String = device.device.to_string().chars().take(8).collect();
    format!("Device {id}")
}

/// What there is to know of a device, in one line.
#[must_use]
pub fn device_facts(device: &DeviceView, clock: &Clock) -> String {
    let first = (device.role == "primary").then(|| "first device".to_owned());
    let linked = device.linked_ms.map(|ms| format!("linked {}", clock.date_time(ms)));
    let seen = device.last_seen_ms.filter(|_| !device.current);
    let seen = seen.map(|ms| format!("last seen {}", clock.ago(ms)));
    let asleep = device
        .dormancy
        .map(|_| "not used for weeks: remove it if you don't have it any more".to_owned());
    let facts: Vec<_> = [first, linked, seen, asleep].into_iter().flatten().collect();
    facts.join(" · ")
}

/// A good first guess at this device's name.
#[must_use]
pub fn this_device(host: &str) -> String {
    let host = host.split('.').next().unwrap_or_default().trim();
    let host: String = host.chars().filter(|c| !c.is_control()).take(40).collect();
    if host.is_empty() { "Desktop".to_owned() } else { format!("Desktop on {host}") }
}

/// Whether what is shown is all there is, and since when.
#[must_use]
pub fn sync(status: &Status, clock: &Clock) -> String {
    let confirmed = match status.last_confirmed_ms {
        None => "not confirmed yet".to_owned(),
        Some(ms) => format!("last confirmed {}", clock.ago(ms)),
    };
    match (status.connected, status.waiting) {
        (false, 0) => format!("Offline · {confirmed}"),
        (false, waiting) => format!("Offline · {} waiting", count(waiting, "change")),
        (true, 0) if status.up_to_date => format!("Up to date · {confirmed}"),
        (true, 0) if status.withheld > 0 => {
            "Not up to date · the relay keeps something back".to_owned()
        }
        (true, 0) => "Catching up…".to_owned(),
        (true, waiting) => format!("Sending {}…", count(waiting, "change")),
    }
}

/// What is said while there is no connection.
#[must_use]
pub fn offline(status: &Status, by_choice: bool, why: Option<&str>, clock: &Clock) -> String {
    let begin = match (by_choice, why) {
        (true, _) => "You are offline by choice.".to_owned(),
        (false, Some(why)) => format!("No connection: {}", sentence_end(why)),
        (false, None) => "No connection.".to_owned(),
    };
    let waiting = match status.waiting {
        0 => "What you write is sent later.".to_owned(),
        1 => "1 change waits to be sent.".to_owned(),
        many => format!("{many} changes wait to be sent."),
    };
    let confirmed =
        status.last_confirmed_ms.map(|ms| format!(" Last confirmed {}.", clock.ago(ms)));
    format!("{begin} {waiting}{}", confirmed.unwrap_or_default())
}

/// A failure in words for people.
#[must_use]
pub fn failure(failure: &Failure) -> String {
    let said = match failure.kind() {
        "offline" => "This needs a connection, and there is none at the moment.",
        "not_found" => "Nothing was found under that.",
        "taken" => "This address belongs to somebody else. Choose another.",
        "exists" => "There is an account on this device already.",
        "quota" => "The relay has no room left for this account.",
        "rate" => "That was too often. Wait a little, then try again.",
        "revoked" => "This device was removed from its account.",
        "store" => "This device could not write to its disk. Free some space, then try again.",
        "too_large" => "That is too long.",
        "full" => {
            "The relay's disk is full. What you write is kept here, and goes out when there is room."
        }
        "unavailable" => "The relay can't do this at the moment. Try again in a little while.",
        _ => return sentence(&told(failure)),
    };
    said.to_owned()
}

fn told(failure: &Failure) -> String {
    match failure {
        Failure::Invalid(what) => what.clone(),
        Failure::Denied(what) => (*what).to_owned(),
        other => other.to_string(),
    }
}

/// Why a link came to nothing.
#[must_use]
pub fn link_failure(why: &Failure) -> String {
    let said = match why.kind() {
        "not_found" => {
            "The code is no longer valid: it is good for two minutes, once. Begin again on both devices."
        }
        "taken" => "Another device took the code first. Begin again on both devices.",
        "denied" => {
            "The digits did not match, or the other device gave up. Nothing was linked; begin again \
             on both devices."
        }
        "invalid" => "That is not what a new device shows. Copy it again, whole.",
        _ => return failure(why),
    };
    said.to_owned()
}

/// Why a recovery came to nothing.
#[must_use]
pub fn recovery_failure(why: &Failure) -> String {
    let said = match why.kind() {
        "not_found" => "No account has this address.",
        "denied" | "invalid" => {
            "These words are not the code of this account. Look whether one is misspelt; only the \
             newest code counts."
        }
        _ => return failure(why),
    };
    said.to_owned()
}

/// What keeps this device from the relay, where it does not pass by itself.
#[must_use]
pub fn trouble(problem: &Problem) -> Option<String> {
    let said = match problem {
        Problem::AddressTaken => {
            "Your address belongs to somebody else: others can't find you by it."
        }
        Problem::OtherRelay { .. } => {
            "The relay is another than before. Nothing is sent to it until you accept it."
        }
        Problem::NotARelay => {
            "What answers at the relay's address is not a relay that this version understands."
        }
        Problem::Session(why) | Problem::Space(_, why) => return refused(why),
    };
    Some(said.to_owned())
}

fn refused(why: &Rejection) -> Option<String> {
    match why.kind() {
        "revoked" | "unavailable" | "rate" => None,
        "quota" => Some(
            "The relay has no room left for this account: what you write waits here.".to_owned(),
        ),
        "full" => Some(failure(&Failure::Refused(why.clone()))),
        _ => Some(sentence(&why.to_string())),
    }
}

/// Somebody could not be added to a conversation.
#[must_use]
pub fn not_added(address: &str, why: &Rejection) -> String {
    match why.kind() {
        "not_found" => format!("Nobody has the address {address}."),
        kind => format!("{address} could not be added ({kind})."),
    }
}

/// How what is kept on the disk is protected, in a few words and in a sentence.
#[must_use]
pub fn protection(place: &Place, is_wrapped: bool) -> (&'static str, String) {
    let sealed = "Sealed on the disk";
    match (place, is_wrapped) {
        (Place::Keyring, false) => (
            sealed,
            "The key is in this system's keyring, which opens as you log in. Whoever uses your session \
             needs nothing else: a passphrase keeps them out."
                .to_owned(),
        ),
        (Place::Keyring, true) => (
            sealed,
            "The key is in this system's keyring, and opens by your passphrase alone.".to_owned(),
        ),
        (Place::File(why), false) => (
            "Not protected on the disk",
            format!(
                "{} The key lies in a file beside what it seals: whoever can read your files can \
                 read your messages. A passphrase protects them.",
                sentence(why)
            ),
        ),
        (Place::File(why), true) => (
            "Sealed on the disk by your passphrase",
            format!(
                "{} The key lies in a file, and opens by your passphrase alone: let it be a long one.",
                sentence(why)
            ),
        ),
    }
}

/// Groups of five digits, which are read aloud best.
#[must_use]
pub fn in_groups(number: &str) -> Vec<String> {
    let digits: Vec<_> = number.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(5).map(|group| group.iter().collect()).collect()
}

/// Seven digits as they are shown and read: `123 4567`.
#[must_use]
pub fn digits(code: &str) -> String {
    match code.split_at_checked(3) {
        Some((first, rest)) => format!("{first} {rest}"),
        None => code.to_owned(),
    }
}

/// With a capital and a full stop.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    match letters.next() {
        None => "Something went wrong.".to_owned(),
        Some(first) => sentence_end(&first.to_uppercase().chain(letters).collect::<String>()),
    }
}

fn sentence_end(text: &str) -> String {
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_one_says_them() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(listed(&["Ada"]), "Ada");
        assert_eq!(listed(&["Ada", "Bob", "Cleo"]), "Ada, Bob and Cleo");
        assert_eq!(typing(&["Ada"]), "Ada is typing…");
        assert_eq!(typing(&["Ada", "Bob"]), "Ada and Bob are typing…");
    }

    #[test]
    fn a_name_cannot_close_its_quotation_marks() {
        assert_eq!(quoted("Ada” and all “others"), "“\u{2068}Ada' and all 'others\u{2069}”");
    }

    #[test]
    fn a_failure_is_a_sentence() {
        assert_eq!(failure(&Failure::Denied("not an admin")), "Not an admin.");
        let invalid = Failure::Invalid("the address \"x\": too short".to_owned());
        assert_eq!(failure(&invalid), "The address \"x\": too short.");
        assert_eq!(sentence(""), "Something went wrong.");
    }

    #[test]
    fn what_passes_by_itself_is_no_trouble() {
        assert_eq!(trouble(&Problem::Session(Rejection::Rate { retry_ms: 1 })), None);
        assert!(trouble(&Problem::AddressTaken).is_some());
    }

    #[test]
    fn offline_says_what_waits_and_since_when() {
        let clock = Clock::at(jiff::tz::TimeZone::UTC, 600_000);
        let status = Status { waiting: 2, last_confirmed_ms: Some(300_000), ..Status::default() };
        assert_eq!(
            offline(&status, false, Some("the relay doesn't answer in time"), &clock),
            "No connection: the relay doesn't answer in time. 2 changes wait to be sent. Last \
             confirmed 5 minutes ago."
        );
        assert_eq!(sync(&status, &clock), "Offline · 2 changes waiting");
        let status = Status { connected: true, up_to_date: true, ..Status::default() };
        assert_eq!(sync(&status, &clock), "Up to date · not confirmed yet");
    }

    #[test]
    fn what_is_not_protected_is_told() {
        let file = Place::File("there is no keyring here".to_owned());
        let (title, text) = protection(&file, false);
        assert_eq!(title, "Not protected on the disk");
        assert!(text.starts_with("There is no keyring here. The key lies in a file"), "{text}");
        for (place, is_wrapped) in
            [(&file, true), (&Place::Keyring, false), (&Place::Keyring, true)]
        {
            assert!(protection(place, is_wrapped).0.starts_with("Sealed on the disk"));
        }
    }

    #[test]
    fn digits_are_shown_in_groups_that_are_read_aloud() {
        assert_eq!(digits("1234567"), "123 4567");
        assert_eq!(digits("12"), "12");
        assert_eq!(in_groups("12345 6789"), ["12345", "6789"]);
    }

    #[test]
    fn a_device_is_called_after_its_host() {
        assert_eq!(this_device("tower.example.org"), "Desktop on tower");
        assert_eq!(this_device(""), "Desktop");
    }
}
