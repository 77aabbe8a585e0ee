//! Where in an app's document something changed.

use automerge::{ObjId, Prop, ReadDoc};

use super::history::{History, OpId};
use super::tree::Tree;
use super::{AppOp, PATHS, Step, Touched};

/// Where an own operation acts: a place in a map, a text, or a list.
pub(crate) fn note_op(op: &AppOp, touched: &mut Touched) {
    let (_, path) = op.named();
    let path = match path.split_last() {
        // What stands behind it has another index, too.
        Some((Step::Index(_), list)) => list,
        _ => path,
    };
    if touched.paths.len() <= PATHS {
        touched.paths.insert(path.to_vec());
    }
}

impl Tree<'_> {
    /// Where the changes from the `from`-th on act: at most one more place than are told.
    pub(crate) fn note_paths(&self, history: &History, from: usize, touched: &mut Touched) {
        for (object, name) in history.slots_from(from) {
            if touched.paths.len() > PATHS {
                return;
            }
            let mut path = match object {
                Some(id) => match self.path_of(history, id) {
                    Some(path) => path,
                    None => continue,
                },
                None => Vec::new(),
            };
            path.extend(name.map(Step::from));
            touched.paths.insert(path);
        }
    }

    /// The path of an object, up to the first list in which elements were moved.
    fn path_of(&self, history: &History, id: OpId) -> Option<Vec<Step>> {
        let actor = history.actor_id(id.actor)?;
        let object = ObjId::Id(u64::from(id.counter), actor, 0);
        let parents = self.doc.parents(&object).ok()?.visible_path()?;
        let mut path = Vec::with_capacity(parents.len());
        for (_, prop) in parents {
            path.push(match prop {
                Prop::Map(key) => Step::Key(key),
                Prop::Seq(_) if self.moved => break,
                Prop::Seq(index) => Step::Index(index as u64),
            });
        }
        Some(path)
    }
}
