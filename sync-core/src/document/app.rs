//! Operations on an app's own document.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, Value};
use serde_json::Value as Json;
use sync_protocol::codec::Blob;
use sync_protocol::limits;

use super::alike::Alike;
use super::edit::{EditError, OpError, OpFault, Unit};
use super::history::History;
use super::paths::note_op;
use super::places::{element_of, sign_of, signs};
use super::tree::Tree;
use super::values::{Budget, Content, How, Split, content, element, write};
use super::{AppOp, Document, Name, Step, Touched};

type Done<T = ()> = Result<T, OpFault>;

/// Operations of one change, beyond which those that follow become another.
const OPS: usize = limits::CHANGE_OPS_SPARE / 2;
/// Letters of a text that one operation takes out and puts in: each is an operation of the change.
const LETTERS: usize = limits::CHANGE_OPS - limits::CHANGE_OPS_SPARE;

/// The tree of an app's document, to be changed.
struct TreeMut<'d> {
    doc: &'d mut AutoCommit,
    history: &'d mut History,
    moved: &'d mut bool,
}

impl TreeMut<'_> {
    fn tree(&self) -> Tree<'_> {
        Tree { doc: self.doc, history: self.history, moved: *self.moved }
    }

    fn put_json(&mut self, path: &[Step], value: &Blob, how: How) -> Done {
        let content = content_of(path, value)?;
        let (object, last) = self.tree().locate(path, matches!(how, How::Insert))?;
        if let (How::Insert, Prop::Map(_)) = (how, &last) {
            return Err(OpFault::NotAList);
        }
        // What is put into an element that was moved leaves it where it stands.
        let element = match (how, *self.moved, &last) {
            (How::Put, true, Prop::Seq(_)) => {
                element_of(self.history, &self.tree().there(&object, &last)?.1)
            }
            _ => None,
        };
        let written = write(self.doc, &object, last.clone(), content, how, &mut Split::default());
        written.map_err(|_| OpFault::BadValue)?;
        if let Some(element) = element
            && let Ok((_, ObjId::Id(counter, by, _))) = self.tree().there(&object, &last)
        {
            self.history.note_open((counter, by.to_bytes().to_vec()), element);
        }
        Ok(())
    }

    fn take_away(&mut self, path: &[Step]) -> Done {
        let (object, last) = self.tree().locate(path, false)?;
        self.tree().there(&object, &last)?;
        let mut gone = vec![last];
        if let (true, Some(Prop::Seq(element))) = (*self.moved, gone.first().cloned()) {
            let of_it = signs(self.doc, &object, self.history)
                .into_iter()
                .filter(|sign| sign.2 == Some(element));
            gone.extend(of_it.map(|(index, ..)| Prop::Seq(index)));
            // From the last on, so that none changes another's place.
            gone.sort_by_key(|prop| std::cmp::Reverse(place_of(prop)));
        }
        for prop in gone {
            self.doc.delete(&object, prop).map_err(|_| OpFault::NoSuchPlace)?;
        }
        Ok(())
    }

    fn move_element(&mut self, path: &[Step], to: u64) -> Done {
        let (list, last) = self.tree().locate(path, false)?;
        let (Prop::Seq(element), Some(Step::Index(from))) = (last, path.last()) else {
            return Err(OpFault::NotAList);
        };
        let from = usize::try_from(*from).map_err(|_| OpFault::PastTheEnd)?;
        let to = usize::try_from(to).map_err(|_| OpFault::PastTheEnd)?;
        // Whom it stands before afterwards: of those behind it, each is one further now.
        let before = if to >= from { to.saturating_add(1) } else { to };
        let at = self.tree().index(&list, before, true)?;
        if to == from {
            return Ok(());
        }
        let sign = sign_of(self.doc, &list, element).ok_or(OpFault::NoSuchPlace)?;
        let older = if *self.moved { signs(self.doc, &list, self.history) } else { Vec::new() };
        self.doc.insert(&list, at, sign).map_err(|_| OpFault::NoSuchPlace)?;
        *self.moved = true;
        let older = older.iter().rev().filter(|(_, _, of)| *of == Some(element));
        for (index, ..) in older {
            let index = index + usize::from(*index >= at);
            self.doc.delete(&list, index).map_err(|_| OpFault::NoSuchPlace)?;
        }
        Ok(())
    }

    fn splice(
        &mut self,
        path: &[Step],
        (index, delete, unit): (u64, u64, Unit),
        insert: &str,
    ) -> Done {
        let (object, last) = self.tree().locate(path, false)?;
        let (Value::Object(ObjType::Text), text) = self.tree().there(&object, &last)? else {
            return Err(OpFault::NotAText);
        };
        let end = index.checked_add(delete).ok_or(OpFault::PastTheEnd)?;
        let (start, end) = match unit {
            Unit::Characters => {
                let length = self.doc.length(&text) as u64;
                if end > length {
                    return Err(OpFault::PastTheEnd);
                }
                (index, end)
            }
            Unit::Utf16 => {
                let now = self.doc.text(&text).map_err(|_| OpFault::NotAText)?;
                (characters(&now, index)?, characters(&now, end)?)
            }
        };
        let (Ok(start), Ok(delete)) = (usize::try_from(start), usize::try_from(end - start)) else {
            return Err(OpFault::PastTheEnd);
        };
        if delete + insert.len() > LETTERS {
            return Err(OpFault::TooLarge { what: "letters spliced at once", limit: LETTERS });
        }
        let delete = delete.cast_signed();
        self.doc.splice_text(&text, start, delete, insert).map_err(|_| OpFault::PastTheEnd)
    }
}

impl Document {
    /// Makes operations, all or none.
    pub(crate) fn app_edit(&mut self, ops: &[AppOp]) -> Result<Touched, EditError> {
        if !matches!(self.name, Name::App(..) | Name::Carried(_)) {
            return Err(EditError::WrongDocument);
        }
        if self.moved || ops.iter().any(|op| matches!(op, AppOp::Move { .. })) {
            self.fill_ops(true);
        }
        let mut done = vec![false; ops.len()];
        let mut known = self.history.len();
        if ops.iter().any(is_nobodys) {
            self.close();
            known = self.history.len();
            done = self.bear_missing(ops)?;
        }
        if self.doc.pending_ops() > OPS {
            self.close();
        }
        let before = self.doc.pending_ops();
        if let Err(error) = self.app_ops(ops, &done, usize::MAX) {
            self.undo_to(before);
            return Err(error);
        }
        let mut touched = Touched::default();
        if self.doc.pending_ops() > before || self.history.len() > known {
            touched.all = true;
            ops.iter().for_each(|op| note_op(op, &mut touched));
        }
        if self.doc.pending_ops() > 2 * OPS && ops.len() > 1 {
            // It may be more than one change can hold. All can be made, so it is made in several.
            self.undo_to(before);
            self.close();
            self.app_ops(ops, &done, OPS)?;
        }
        if self.history.len() > known {
            // What is in a change by now must not be made again, should a later edit fail.
            self.close();
        }
        Ok(touched)
    }

    fn tree_mut(&mut self) -> TreeMut<'_> {
        TreeMut { doc: &mut self.doc, history: &mut self.history, moved: &mut self.moved }
    }

    /// Makes operations in the open transaction, those aside that were made already; on an error, some
    /// of them. Behind `most` of Automerge's the next change begins.
    fn app_ops(&mut self, ops: &[AppOp], made: &[bool], most: usize) -> Result<(), EditError> {
        let left = ops.iter().zip(made).enumerate().filter(|(_, (_, made))| !**made);
        for (nth, (op, _)) in left {
            if self.doc.pending_ops() > most {
                self.close();
            }
            self.app_op(op).map_err(|fault| {
                let (operation, path) = op.named();
                let path = path.to_vec();
                EditError::Op(Box::new(OpError { op: nth, operation, path, fault }))
            })?;
        }
        Ok(())
    }

    /// What is to be there, and is not, is made in changes of its own, which are the same whoever
    /// makes them; so is what is converted. First all is tried: what fails leaves nothing behind.
    /// Gives which operations need not be made any more. The transaction is closed.
    fn bear_missing(&mut self, ops: &[AppOp]) -> Result<Vec<bool>, EditError> {
        let tried = self.app_ops(ops, &vec![false; ops.len()], usize::MAX);
        self.doc.rollback();
        self.history.forget_open();
        tried?;
        let mut done = Vec::with_capacity(ops.len());
        for (nth, op) in ops.iter().enumerate() {
            done.push(match op {
                AppOp::Ensure { path, value } => {
                    // Where its parent is made by another of these operations it is made with it.
                    let _ = self.ensure(path, value, true);
                    false
                }
                AppOp::Convert { path, value } if stands_apart(path, &ops[..nth]) => {
                    Alike::of(self).convert(path, value).is_some()
                }
                _ => false,
            });
        }
        Ok(done)
    }

    fn app_op(&mut self, op: &AppOp) -> Done {
        match op {
            AppOp::Put { path, value } => self.tree_mut().put_json(path, value, How::Put),
            AppOp::Insert { path, value } => self.tree_mut().put_json(path, value, How::Insert),
            AppOp::Delete { path } => self.tree_mut().take_away(path),
            AppOp::Increment { path, by } => {
                if by.unsigned_abs() > limits::COUNTER_STEP {
                    let limit = usize::try_from(limits::COUNTER_STEP).unwrap_or(usize::MAX);
                    return Err(OpFault::TooLarge { what: "counter step", limit });
                }
                let (object, last) = self.tree().locate(path, false)?;
                match self.tree().there(&object, &last)? {
                    (Value::Scalar(scalar), _) if matches!(*scalar, ScalarValue::Counter(_)) => {}
                    _ => return Err(OpFault::NotACounter),
                }
                self.doc.increment(&object, last, *by).map_err(|_| OpFault::NotACounter)
            }
            AppOp::SpliceText { path, index, delete, insert, unit } => {
                self.tree_mut().splice(path, (*index, *delete, *unit), insert)
            }
            AppOp::Ensure { path, value } => self.ensure(path, value, false),
            AppOp::Convert { path, value } => {
                let (object, last) = self.tree().locate(path, false)?;
                self.tree().there(&object, &last)?;
                self.tree_mut().put_json(path, value, How::Put)
            }
            AppOp::Move { path, to } => self.tree_mut().move_element(path, *to),
        }
    }

    /// Sees to it that something is at a path: as everybody would make it, or as a part of what is
    /// being made.
    fn ensure(&mut self, path: &[Step], value: &Blob, alike: bool) -> Done {
        let content = content_of(path, value)?;
        let (last, way) = path.split_last().ok_or(OpFault::EmptyPath)?;
        let mut object = ROOT;
        for step in way {
            let prop = self.tree().step(&object, step, false)?;
            let is_there = self.doc.get(&object, prop.clone()).ok().flatten().is_some();
            if !is_there && matches!(prop, Prop::Map(_)) {
                self.make(&object, prop.clone(), Content::Map(Vec::new()), alike)?;
            }
            object = match self.tree().there(&object, &prop)? {
                (Value::Object(_), id) => id,
                (Value::Scalar(_), _) => return Err(OpFault::NotAMap),
            };
        }
        let prop = self.tree().step(&object, last, false)?;
        if matches!(prop, Prop::Seq(_)) {
            return Err(OpFault::NotAMap);
        }
        if self.doc.get(&object, prop.clone()).ok().flatten().is_some() {
            return Ok(());
        }
        self.make(&object, prop, content, alike)
    }

    fn make(&mut self, object: &ObjId, at: Prop, content: Content, alike: bool) -> Done {
        if alike {
            return Alike::of(self).bear(object, at, content).ok_or(OpFault::NoSuchPlace);
        }
        let made = write(&mut self.doc, object, at, content, How::Put, &mut Split::default());
        made.map_err(|_| OpFault::BadValue)
    }
}

/// Whether an operation makes what is the same whoever makes it.
fn is_nobodys(op: &AppOp) -> bool {
    matches!(op, AppOp::Ensure { .. } | AppOp::Convert { .. })
}

/// Whether a place is the same before operations and after them.
fn stands_apart(path: &[Step], ops: &[AppOp]) -> bool {
    ops.iter().all(|op| match op {
        AppOp::Delete { path: gone } if matches!(gone.last(), Some(Step::Key(_))) => {
            !path.starts_with(gone) && !gone.starts_with(path)
        }
        op => is_nobodys(op),
    })
}

/// What is to stand at a path.
pub(super) fn content_of(path: &[Step], value: &Blob) -> Done<Content> {
    let json: Json = serde_json::from_slice(value.as_slice()).map_err(|_| OpFault::BadValue)?;
    let mut left = Budget { spare: limits::CHANGE_OPS_SPARE / 2, clamps: false };
    let limit = limits::DOCUMENT_DEPTH;
    let too_deep = OpFault::TooLarge { what: "nested objects", limit };
    let content = content(json, limit.checked_sub(path.len()).ok_or(too_deep)?, &mut left)?;
    if matches!(path.last(), Some(Step::Index(_))) { element(content) } else { Ok(content) }
}

fn place_of(prop: &Prop) -> usize {
    match prop {
        Prop::Seq(index) => *index,
        Prop::Map(_) => 0,
    }
}

/// How many characters stand before so many units of UTF-16.
fn characters(text: &str, units: u64) -> Done<u64> {
    let (mut passed, mut count) = (0, 0);
    for character in text.chars() {
        if passed >= units {
            break;
        }
        passed += character.len_utf16() as u64;
        count += 1;
    }
    match passed.cmp(&units) {
        std::cmp::Ordering::Equal => Ok(count),
        std::cmp::Ordering::Less => Err(OpFault::PastTheEnd),
        std::cmp::Ordering::Greater => Err(OpFault::InsideACharacter),
    }
}
