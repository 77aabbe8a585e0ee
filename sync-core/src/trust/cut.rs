//! Where a removed device ends.

use sync_protocol::envelope::Cut;

use crate::document::Ended;

/// What does not count of a device that the commit at `index` cuts. The commit's author had read
/// all before the cut, so nothing before it is lost, whatever the cut says: an epoch is entered by
/// reading up to where it `began`.
#[must_use]
pub fn beyond(cut: &Cut, began: u64, index: u64) -> Option<Ended> {
    let from = cut.index.max(began);
    (from < index).then_some(Ended { device: cut.device, from, to: index })
}

#[cfg(test)]
mod tests {
    use sync_protocol::DeviceId;

    use super::*;

    fn cut(index: u64) -> Cut {
        Cut { device: DeviceId::of_signing_key(&[1; 32]), index, seen: [0; 8] }
    }

    #[test]
    fn a_device_ends_where_the_author_had_read_to() {
        let end = beyond(&cut(7), 3, 9).expect("something is between");
        assert!(!end.covers(6) && end.covers(7) && end.covers(8) && !end.covers(9));
        assert_eq!(beyond(&cut(9), 3, 9), None);
        assert_eq!(beyond(&cut(20), 3, 9), None);
    }

    #[test]
    fn no_cut_reaches_back_before_its_epoch() {
        let end = beyond(&cut(0), 3, 9).expect("something is between");
        assert!(!end.covers(2) && end.covers(3));
    }
}
