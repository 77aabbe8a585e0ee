//! Edits made again that were made of what the document was before: indexes of lists and positions in texts are
//! those of the elements and letters that were meant.

use sync_protocol::codec::Blob;
use sync_protocol::ids::WriterId;

use super::births::nobody;
use super::carried::{carried_row, edits_of};
use super::history::Known;
use super::{AppOp, ChangeHash, Document, Edit, Row};

/// Makes edits again that were made when the log had been read up to an index, and did not come to a
/// change then. What no longer fits has nothing left to change.
pub(crate) fn edit_again(
    document: &mut Document,
    writer: &WriterId,
    edits: Vec<Edit>,
    read: Option<u64>,
) {
    let rows = read.and_then(|read| known_at(document, writer, read));
    let meant = rows.map(|rows| edits_by(document, rows, &edits));
    // Where they do not fit, the log is another one: a relay that was put back begins one anew.
    let fitting = meant.filter(|(_, fit)| *fit).map(|(edits, _)| edits);
    for edit in fitting.unwrap_or(edits) {
        let _ = document.edit(writer, &edit);
    }
}

/// The edits that come to the same in a document as operations on these changes alone: others may have
/// written on them since, so that another element has the index that was meant.
pub(crate) fn edits_onto(document: &mut Document, changes: &[Blob], ops: Vec<AppOp>) -> Vec<Edit> {
    let edits = edits_of(ops);
    match changes {
        [] => edits,
        // What does not fit has nothing left to change.
        changes => edits_by(document, changes.iter().map(carried_row).collect(), &edits).0,
    }
}

/// The changes that a device had when it had read the log up to an index: its own aside, those before
/// that. Nothing, if that is all there is.
fn known_at(document: &mut Document, writer: &WriterId, read: u64) -> Option<Vec<Row>> {
    if document.grammar.is_some() {
        return None;
    }
    document.close();
    let history = &document.history;
    let was_there = |known: &&Known| {
        let by = history.actor(known.actor).and_then(|actor| actor.writer);
        by.is_some_and(|by| by.device == writer.device)
            || known.placement.is_none_or(|at| at.index < read)
    };
    let there: Vec<ChangeHash> =
        history.in_order().filter(was_there).map(|known| known.hash).collect();
    if there.len() == history.len() {
        return None;
    }
    let within = history.ancestry(&there);
    let changes = document.doc.get_changes(&[]);
    let rows = changes.iter().filter_map(|change| {
        let known = document.history.change(&change.hash().0)?;
        let writer = document.history.writer_of(&known.hash)?;
        let is_within = known.seq <= within.seq(known.actor);
        let change = change.raw_bytes().to_vec();
        is_within.then_some(Row { writer, placement: known.placement, change })
    });
    Some(rows.collect())
}

/// The edits that come to the same in a document as others that are made of some of its changes, and
/// whether all of them can be.
fn edits_by(document: &mut Document, rows: Vec<Row>, edits: &[Edit]) -> (Vec<Edit>, bool) {
    let mut fork = Document::new(document.space, document.name.clone());
    fork.receive(rows);
    let somebody = nobody(&[1; 32]);
    let made = edits.iter().map(|edit| fork.edit(&somebody, edit)).filter(Result::is_ok).count();
    fork.close();
    let merged = document.edits_to_merge(fork.doc.get_changes(&[]));
    (merged.unwrap_or_else(|_| edits.to_vec()), made == edits.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::{Value, json};

    use super::super::app_tests::{app, delete, edit, increment, insert, move_to, put, splice};
    use super::super::testing::{Author, place};
    use super::super::{Placement, Unit};
    use super::*;

    /// One makes an edit of a document that is at index 5 of its log. Before it comes to a change, others'
    /// edits stand there, behind it. Gives what it comes to then.
    fn made_again(content: &Value, own: &Edit, others: &Edit) -> Value {
        let (mut one, mut other) = (Author::new(1, app()), Author::new(2, app()));
        let at = |rows: Vec<Row>, index| -> Vec<Row> {
            let row = |(ordinal, row)| Row {
                placement: Some(Placement { ordinal, ..place(index) }),
                ..row
            };
            (0..).zip(rows).map(row).collect()
        };
        for key in content.as_object().unwrap().keys() {
            let rows = at(other.write(&edit([put(&json!([key]), &content[key])])), 1);
            one.document.receive(rows);
        }
        // What is in the own chain already, and stands behind what others write.
        let before = at(one.write(&edit([put(&json!(["mine"]), &json!(1))])), 7);
        let theirs = at(other.write(others), 6);
        one.document.receive(theirs);
        one.document.receive(before);
        edit_again(&mut one.document, &one.writer, vec![own.clone()], Some(5));
        let mut shown = one.document.tree().content_now();
        shown.as_object_mut().unwrap().remove("mine");
        shown
    }

    #[test]
    fn what_is_made_again_is_made_of_the_rows_and_letters_that_were_meant() {
        let rows = json!({ "l": ["a", "b", "c"] });
        let in_front = edit([insert(&json!(["l", 0]), &json!("new"))]);
        let cases = [
            (edit([put(&json!(["l", 1]), &json!("B"))]), json!(["new", "a", "B", "c"])),
            (edit([delete(&json!(["l", 2]))]), json!(["new", "a", "b"])),
            (edit([move_to(&json!(["l", 2]), 1)]), json!(["new", "a", "c", "b"])),
            (edit([insert(&json!(["l", 3]), &json!("d"))]), json!(["new", "a", "b", "c", "d"])),
        ];
        for (own, expected) in cases {
            assert_eq!(made_again(&rows, &own, &in_front), json!({ "l": expected }), "{own:?}");
        }
        let text = json!({ "t": { "$text": "one two" }, "n": [{ "$counter": 1 }] });
        let own = edit([
            splice(&json!(["t"]), 4, 3, "2", Unit::Characters),
            increment(&json!(["n", 0]), 5),
        ]);
        let others = edit([
            splice(&json!(["t"]), 0, 0, "zero ", Unit::Characters),
            insert(&json!(["n", 0]), &json!({ "$counter": 7 })),
        ]);
        let expected =
            json!({ "t": { "$text": "zero one 2" }, "n": [{ "$counter": 7 }, { "$counter": 6 }] });
        assert_eq!(made_again(&text, &own, &others), expected);
    }

    #[test]
    fn what_fits_only_what_stands_there_now_is_made_of_that() {
        let others = edit([insert(&json!(["l", 1]), &json!({ "n": 1 }))]);
        let own = edit([put(&json!(["l", 1, "done"]), &json!(true))]);
        let expected = json!({ "l": [{ "n": 0 }, { "n": 1, "done": true }] });
        assert_eq!(made_again(&json!({ "l": [{ "n": 0 }] }), &own, &others), expected);
    }

    #[test]
    fn what_is_gone_by_then_takes_what_is_made_of_it_along() {
        let others = edit([delete(&json!(["l", 0]))]);
        let rows = json!({ "l": [{ "n": 0 }, { "n": 1 }] });
        let own = edit([put(&json!(["l", 0, "done"]), &json!(true))]);
        assert_eq!(made_again(&rows, &own, &others), json!({ "l": [{ "n": 1 }] }));
    }
}
