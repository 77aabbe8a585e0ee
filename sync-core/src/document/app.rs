//! Operations on an app's own document.

use automerge::transaction::Transactable;
use automerge::{ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, Value};
use serde_json::Value as Json;
use sync_protocol::codec::Blob;
use sync_protocol::limits;

use super::edit::{EditError, OpError, OpFault, Unit};
use super::json::prop;
use super::places::{places, sign_of, signs};
use super::values::{Content, How, TOO_MANY, content, is_key, write};
use super::{AppOp, Document, Name, Step, Touched};

type Done<T = ()> = Result<T, OpFault>;

impl Document {
    /// Makes operations, all or none.
    pub(crate) fn app_edit(&mut self, ops: &[AppOp]) -> Result<Touched, EditError> {
        if !matches!(self.name, Name::App(..) | Name::Carried(_)) {
            return Err(EditError::WrongDocument);
        }
        if ops.iter().any(|op| matches!(op, AppOp::Ensure { .. })) {
            self.bear_missing(ops)?;
        }
        if self.doc.pending_ops() > limits::CHANGE_OPS_SPARE / 2 {
            self.close();
        }
        let before = self.doc.pending_ops();
        if let Err(error) = self.app_ops(ops) {
            self.undo_to(before);
            return Err(error);
        }
        let mut touched = Touched::default();
        if self.doc.pending_ops() > before {
            touched.all = true;
            ops.iter().for_each(|op| self.note_op(op, &mut touched));
        }
        Ok(touched)
    }

    /// Makes operations in the open transaction; on an error, some of them.
    fn app_ops(&mut self, ops: &[AppOp]) -> Result<(), EditError> {
        for (nth, op) in ops.iter().enumerate() {
            self.app_op(op).map_err(|fault| {
                let (operation, path) = op.named();
                let path = path.to_vec();
                EditError::Op(Box::new(OpError { op: nth, operation, path, fault }))
            })?;
        }
        Ok(())
    }

    /// What is to be there, and is not, is made in changes of its own, which are the same whoever
    /// makes them. First all is tried: what fails leaves nothing behind.
    fn bear_missing(&mut self, ops: &[AppOp]) -> Result<(), EditError> {
        self.close();
        let tried = self.app_ops(ops);
        self.doc.rollback();
        tried?;
        for op in ops {
            if let AppOp::Ensure { path, value } = op {
                // Where its parent is made by another of these operations it is made with it.
                let _ = self.ensure(path, value, true);
            }
        }
        Ok(())
    }

    fn app_op(&mut self, op: &AppOp) -> Done {
        match op {
            AppOp::Put { path, value } => self.put_json(path, value, How::Put),
            AppOp::Insert { path, value } => self.put_json(path, value, How::Insert),
            AppOp::Delete { path } => self.take_away(path),
            AppOp::Increment { path, by } => {
                if by.unsigned_abs() > limits::COUNTER_STEP {
                    let limit = usize::try_from(limits::COUNTER_STEP).unwrap_or(usize::MAX);
                    return Err(OpFault::TooLarge { what: "counter step", limit });
                }
                let (object, last) = self.locate(path, false)?;
                match self.there(&object, &last)? {
                    (Value::Scalar(scalar), _) if matches!(*scalar, ScalarValue::Counter(_)) => {}
                    _ => return Err(OpFault::NotACounter),
                }
                self.doc.increment(&object, last, *by).map_err(|_| OpFault::NotACounter)
            }
            AppOp::SpliceText { path, index, delete, insert, unit } => {
                self.splice(path, (*index, *delete, *unit), insert)
            }
            AppOp::Ensure { path, value } => self.ensure(path, value, false),
            AppOp::Move { path, to } => self.move_element(path, *to),
        }
    }

    fn there(&self, object: &ObjId, at: &Prop) -> Done<(Value<'_>, ObjId)> {
        self.doc.get(object, at.clone()).ok().flatten().ok_or(match at {
            Prop::Map(_) => OpFault::NoSuchPlace,
            Prop::Seq(_) => OpFault::PastTheEnd,
        })
    }

    /// The index that Automerge has for an element that stands at `index`; where one is to be
    /// inserted before it, for its sign.
    fn index(&self, list: &ObjId, index: usize, inserts: bool) -> Done<usize> {
        let length = self.doc.length(list);
        let Some(places) = self.moved.then(|| places(&self.doc, list)).flatten() else {
            let fits = index < length || (inserts && index == length);
            return fits.then_some(index).ok_or(OpFault::PastTheEnd);
        };
        match places.get(index) {
            Some(place) if inserts => Ok(place.stands),
            Some(place) => Ok(place.element),
            None if inserts && index == places.len() => Ok(length),
            None => Err(OpFault::PastTheEnd),
        }
    }

    /// One step from an object; the key or index is one that Automerge has.
    pub(crate) fn step(&self, object: &ObjId, step: &Step, inserts: bool) -> Done<Prop> {
        let kind = self.doc.object_type(object).map_err(|_| OpFault::NoSuchPlace)?;
        match (kind, prop(step).ok_or(OpFault::PastTheEnd)?) {
            (ObjType::Map | ObjType::Table, Prop::Map(key)) if is_key(&key) => Ok(Prop::Map(key)),
            (ObjType::Map | ObjType::Table, Prop::Map(_)) => Err(OpFault::BadKey),
            (ObjType::List, Prop::Seq(index)) => Ok(Prop::Seq(self.index(object, index, inserts)?)),
            (_, Prop::Seq(_)) => Err(OpFault::NotAList),
            (_, Prop::Map(_)) => Err(OpFault::NotAMap),
        }
    }

    /// The object that a path leads to.
    pub(crate) fn walk(&self, way: &[Step]) -> Done<ObjId> {
        let mut object = ROOT;
        for step in way {
            let prop = self.step(&object, step, false)?;
            object = match self.there(&object, &prop)? {
                (Value::Object(_), id) => id,
                (Value::Scalar(_), _) => return Err(OpFault::NoSuchPlace),
            };
        }
        Ok(object)
    }

    /// The object a path ends in, and where in it.
    pub(crate) fn locate(&self, path: &[Step], inserts: bool) -> Done<(ObjId, Prop)> {
        let (last, way) = path.split_last().ok_or(OpFault::EmptyPath)?;
        let object = self.walk(way)?;
        let last = self.step(&object, last, inserts)?;
        Ok((object, last))
    }

    fn put_json(&mut self, path: &[Step], value: &Blob, how: How) -> Done {
        let content = self.content(path, value)?;
        let (object, last) = self.locate(path, matches!(how, How::Insert))?;
        if let (How::Insert, Prop::Map(_)) = (how, &last) {
            return Err(OpFault::NotAList);
        }
        let written = write(&mut self.doc, &object, last, content, how, false);
        written.map_err(|_| OpFault::BadValue)
    }

    /// What is to stand at a path.
    fn content(&self, path: &[Step], value: &Blob) -> Done<Content> {
        let json: Json = serde_json::from_slice(value.as_slice()).map_err(|_| OpFault::BadValue)?;
        let mut spare = limits::CHANGE_OPS_SPARE / 2;
        let limit = limits::DOCUMENT_DEPTH;
        let too_deep = OpFault::TooLarge { what: "nested objects", limit };
        let content = content(json, limit.checked_sub(path.len()).ok_or(too_deep)?, &mut spare)?;
        let full = self.doc.pending_ops() > limits::CHANGE_OPS_SPARE;
        if full && spare < limits::CHANGE_OPS_SPARE / 4 { Err(TOO_MANY) } else { Ok(content) }
    }

    fn take_away(&mut self, path: &[Step]) -> Done {
        let (object, last) = self.locate(path, false)?;
        self.there(&object, &last)?;
        let mut gone = vec![last];
        if let (true, Some(Prop::Seq(element))) = (self.moved, gone.first().cloned()) {
            let of_it =
                signs(&self.doc, &object).into_iter().filter(|sign| sign.2 == Some(element));
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
        let (list, last) = self.locate(path, false)?;
        let (Prop::Seq(element), Some(Step::Index(from))) = (last, path.last()) else {
            return Err(OpFault::NotAList);
        };
        let from = usize::try_from(*from).map_err(|_| OpFault::PastTheEnd)?;
        let to = usize::try_from(to).map_err(|_| OpFault::PastTheEnd)?;
        // Whom it stands before afterwards: of those behind it, each is one further now.
        let before = if to >= from { to.saturating_add(1) } else { to };
        let at = self.index(&list, before, true)?;
        if to == from {
            return Ok(());
        }
        let sign = sign_of(&self.doc, &list, element).ok_or(OpFault::NoSuchPlace)?;
        let older = if self.moved { signs(&self.doc, &list) } else { Vec::new() };
        self.doc.insert(&list, at, sign).map_err(|_| OpFault::NoSuchPlace)?;
        self.moved = true;
        let older = older.iter().rev().filter(|(_, _, of)| *of == Some(element));
        for (index, ..) in older {
            let index = index + usize::from(*index >= at);
            self.doc.delete(&list, index).map_err(|_| OpFault::NoSuchPlace)?;
        }
        Ok(())
    }

    /// Sees to it that something is at a path: as everybody would make it, or as a part of what is
    /// being made.
    fn ensure(&mut self, path: &[Step], value: &Blob, alike: bool) -> Done {
        let content = self.content(path, value)?;
        let (last, way) = path.split_last().ok_or(OpFault::EmptyPath)?;
        let mut object = ROOT;
        for step in way {
            let prop = self.step(&object, step, false)?;
            let is_there = self.doc.get(&object, prop.clone()).ok().flatten().is_some();
            if !is_there && matches!(prop, Prop::Map(_)) {
                self.make(&object, prop.clone(), Content::Map(Vec::new()), alike)?;
            }
            object = match self.there(&object, &prop)? {
                (Value::Object(_), id) => id,
                (Value::Scalar(_), _) => return Err(OpFault::NotAMap),
            };
        }
        let prop = self.step(&object, last, false)?;
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
            return self.bear(object, at, content).ok_or(OpFault::NoSuchPlace);
        }
        let made = write(&mut self.doc, object, at, content, How::Put, false);
        made.map_err(|_| OpFault::BadValue)
    }

    fn splice(
        &mut self,
        path: &[Step],
        (index, delete, unit): (u64, u64, Unit),
        insert: &str,
    ) -> Done {
        let (object, last) = self.locate(path, false)?;
        let (Value::Object(ObjType::Text), text) = self.there(&object, &last)? else {
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
        let (Ok(start), Ok(delete)) = (usize::try_from(start), isize::try_from(end - start)) else {
            return Err(OpFault::PastTheEnd);
        };
        self.doc.splice_text(&text, start, delete, insert).map_err(|_| OpFault::PastTheEnd)
    }
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
