//! Addresses as people type them, several at once.

/// Addresses between commas, semicolons or blanks. Blanks within a phone number part nothing: what
/// follows belongs to it until a name or another country code begins.
#[must_use]
pub fn addresses(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for part in text.split([',', ';']) {
        let mut is_number = false;
        for word in part.split_whitespace() {
            let begins_number =
                word.trim_start_matches('(').starts_with('+') || word.starts_with("00");
            let goes_on =
                is_number && !begins_number && !word.starts_with(|c: char| c.is_alphabetic());
            match all.last_mut().filter(|_| goes_on) {
                Some(number) => {
                    number.push(' ');
                    number.push_str(word);
                }
                None => all.push(word.to_owned()),
            }
            is_number = goes_on || begins_number;
        }
    }
    let mut once: Vec<String> = Vec::with_capacity(all.len());
    for address in all {
        if !once.contains(&address) {
            once.push(address);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_part_names_but_not_phone_numbers() {
        assert_eq!(addresses("ada bob, cleo;ada"), ["ada", "bob", "cleo"]);
        assert_eq!(addresses("+49 170 1234 bob"), ["+49 170 1234", "bob"]);
        assert_eq!(addresses("0049 (170) 1 +44 20 7"), ["0049 (170) 1", "+44 20 7"]);
        assert!(addresses(" ,; ").is_empty());
    }
}
