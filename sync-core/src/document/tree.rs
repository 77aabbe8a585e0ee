//! The tree of an app's document: what a path leads to, with elements where moves have put them.

use automerge::{AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc, Value};

use super::Step;
use super::edit::OpFault;
use super::history::History;
use super::json::prop;
use super::places::places;
use super::values::is_key;

type Done<T = ()> = Result<T, OpFault>;

/// An app's document, to be walked along a path.
#[derive(Clone, Copy)]
pub(crate) struct Tree<'d> {
    pub(crate) doc: &'d AutoCommit,
    pub(crate) history: &'d History,
    /// Elements of lists were moved: they stand elsewhere than Automerge has them.
    pub(crate) moved: bool,
}

impl<'d> Tree<'d> {
    pub(crate) fn there(&self, object: &ObjId, at: &Prop) -> Done<(Value<'d>, ObjId)> {
        self.doc.get(object, at.clone()).ok().flatten().ok_or(match at {
            Prop::Map(_) => OpFault::NoSuchPlace,
            Prop::Seq(_) => OpFault::PastTheEnd,
        })
    }

    /// The index that Automerge has for an element that stands at `index`; where one is to be
    /// inserted before it, for its sign.
    pub(crate) fn index(&self, list: &ObjId, index: usize, inserts: bool) -> Done<usize> {
        let length = self.doc.length(list);
        let Some(places) = self.moved.then(|| places(self.doc, list, self.history)).flatten()
        else {
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
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use automerge::transaction::Transactable;

    use super::*;

    fn doc() -> AutoCommit {
        let mut doc = AutoCommit::new();
        let list = doc.put_object(ROOT, "list", ObjType::List).unwrap();
        doc.insert(&list, 0, "a").unwrap();
        doc.put(ROOT, "title", "one").unwrap();
        doc
    }

    fn key(key: &str) -> Step {
        Step::Key(key.to_owned())
    }

    #[test]
    fn each_way_that_leads_nowhere_says_why() {
        let (doc, history) = (doc(), History::default());
        let tree = Tree { doc: &doc, history: &history, moved: false };
        let fault = |path: &[Step], inserts| tree.locate(path, inserts).err();
        assert_eq!(fault(&[], false), Some(OpFault::EmptyPath));
        assert_eq!(fault(&[key("none"), key("x")], false), Some(OpFault::NoSuchPlace));
        assert_eq!(fault(&[key("title"), key("x")], false), Some(OpFault::NoSuchPlace));
        assert_eq!(fault(&[key("list"), key("x")], false), Some(OpFault::NotAMap));
        assert_eq!(fault(&[Step::Index(0)], false), Some(OpFault::NotAList));
        assert_eq!(fault(&[key("list"), Step::Index(1)], false), Some(OpFault::PastTheEnd));
        assert_eq!(fault(&[key("list"), Step::Index(1)], true), None, "one may be put at the end");
        assert_eq!(fault(&[key("list"), Step::Index(2)], true), Some(OpFault::PastTheEnd));
    }

    #[test]
    fn a_path_leads_to_the_object_that_has_its_last_step() {
        let (doc, history) = (doc(), History::default());
        let tree = Tree { doc: &doc, history: &history, moved: false };
        let (object, at) = tree.locate(&[key("list"), Step::Index(0)], false).unwrap();
        let (found, _) = tree.there(&object, &at).unwrap();
        assert_eq!(found.as_str(), Some("a"));
        assert_eq!(tree.walk(&[key("list")]).unwrap(), object);
    }
}
