//! An app's own documents, as an app asks for them.
//!
//! Which there are, and what is said of them, stands in one more document of the space, the index: it
//! is shared, merged and handed over as any of them, and no app can name it.

use serde_json::{Map, Value, json};
use sync_protocol::codec::Blob;
use sync_protocol::{SpaceId, limits};

use crate::api::{
    ChangeView, Command, ConflictView, DocumentView, DocumentsView, Failure, Question, Response,
    Space,
};
use crate::document::{AppOp, Document, Edit, Name, Step as At};
use crate::engine::Step;
use crate::engine::rooms::{Apps, Library};
use crate::line;

/// The name of the index, which is no app's.
pub(in crate::engine) const INDEX: &str = ".";
const ARCHIVED: &str = "archived";
const DELETED: &str = "deleted";
const TITLE: &str = "title";

impl Apps<'_> {
    /// Does what an app asks of its documents.
    pub(in crate::engine) fn execute_app(&mut self, command: &Command) -> Step<Response> {
        Ok(match command {
            Command::ReadDocument { space, name, path } => {
                let (space, name) = self.library().named(*space, name)?;
                Response::Value(self.library().content_at(&space, &name, path, false)?)
            }
            Command::AskDocument { space, name, question } => {
                let (space, name) = self.library().named(*space, name)?;
                self.library().answer_question(&space, &name, question)?
            }
            Command::ChangeDocument { space, name, ops } => {
                let (space, name) = self.library().named(*space, name)?;
                self.change_app(&space, &name, vec![Edit::App { ops: ops.clone() }])?
            }
            Command::ExportDocument { space, name } => {
                let (space, name) = self.library().named(*space, name)?;
                Response::Bytes(self.library().shown(&space, &name, |document| document.export())?)
            }
            Command::ImportDocument { space, name, bytes } => {
                let (space, name) = self.library().named(*space, name)?;
                crate::engine::commands::limit("document", bytes.len(), limits::DOCUMENT_IMPORT)?;
                let edits = self.library().shown(&space, &name, |shown| shown.import(bytes))?;
                let edits = edits.map_err(|error| Failure::Invalid(error.to_string()))?;
                self.change_app(&space, &name, edits)?
            }
            Command::ListDocuments { space } => {
                let space = self.account.space_id(self.spaces, *space)?;
                self.library().list_apps(&space)?
            }
            Command::ArchiveDocument { space, name, archived } => {
                let (space, name) = self.library().named(*space, name)?;
                self.mark(&space, &name, ARCHIVED, &json!(archived))?;
                Response::Done
            }
            Command::RenameDocument { space, name, title } => {
                let (space, name) = self.library().named(*space, name)?;
                let title = title.as_deref().map(line::title).transpose()?;
                self.mark(&space, &name, TITLE, &json!(title))?;
                Response::Done
            }
            Command::DeleteDocument { space, name } => {
                let (space, name) = self.library().named(*space, name)?;
                self.delete_app(&space, &name)?;
                Response::Done
            }
            // All others were taken before.
            _ => return Err(Failure::Invalid("no command of a document".into()).into()),
        })
    }

    /// Makes edits of one document. Who writes in one that was deleted begins it anew.
    fn change_app(&mut self, id: &SpaceId, name: &Name, edits: Vec<Edit>) -> Step<Response> {
        self.documents.document(self.spaces, id, name)?;
        let says_nothing = |edit: &Edit| matches!(edit, Edit::App { ops } if ops.is_empty());
        let is_gone =
            !edits.iter().all(says_nothing) && self.library().has_mark(id, name, DELETED)?;
        if is_gone {
            // What others wrote when it was deleted.
            let ops = self.documents.document(self.spaces, id, name)?.tree().clearing();
            if !ops.is_empty() {
                self.outbox().edit(id, name, Edit::App { ops })?;
            }
        }
        for edit in edits {
            self.outbox().edit(id, name, edit)?;
        }
        if is_gone {
            // Nothing that was said of the one before holds of the new one.
            for (mark, said) in
                [(DELETED, json!(false)), (ARCHIVED, json!(false)), (TITLE, Value::Null)]
            {
                self.mark(id, name, mark, &said)?;
            }
        }
        Ok(Response::Heads(self.documents.document(self.spaces, id, name)?.heads()))
    }

    fn delete_app(&mut self, id: &SpaceId, name: &Name) -> Step<()> {
        let ops = self.documents.document(self.spaces, id, name)?.tree().clearing();
        // Before anything is changed: what it needs is there then.
        let Name::App(era, _) = name else { return Ok(()) };
        self.documents.document(self.spaces, id, &Name::App(*era, INDEX.to_owned()))?;
        if !ops.is_empty() {
            self.outbox().edit(id, name, Edit::App { ops })?;
        }
        self.mark(id, name, DELETED, &json!(true))
    }

    /// Says something of a document in the index.
    fn mark(&mut self, id: &SpaceId, name: &Name, mark: &str, said: &Value) -> Step<()> {
        let Name::App(era, bare) = name else { return Ok(()) };
        let index = Name::App(*era, INDEX.to_owned());
        self.documents.document(self.spaces, id, &index)?;
        let blob = |value: &Value| Blob(value.to_string().into_bytes());
        let of = At::Key(bare.clone());
        let begin = AppOp::Ensure { path: vec![of.clone()], value: blob(&json!({})) };
        let say = AppOp::Put { path: vec![of, At::from(mark)], value: blob(said) };
        self.outbox().edit(id, &index, Edit::App { ops: vec![begin, say] })?;
        Ok(())
    }
}

impl Library<'_> {
    /// A document as an app names it: one of the app's, whatever the name. The engine's own have no
    /// name here, so what they hold can't be asked for, and none of an app's stands in their way.
    pub(in crate::engine) fn named(&mut self, space: Space, name: &str) -> Step<(SpaceId, Name)> {
        let space = self.account.space_id(self.spaces, space)?;
        match format!("app/{name}").parse() {
            Ok(Name::App(_, bare)) if bare != INDEX => {
                Ok((space, self.app_document(&space, &bare)?))
            }
            _ => Err(Failure::Invalid(format!("not a document name: {name}")).into()),
        }
    }

    /// What stands at a path; nothing, if the document was deleted.
    fn content_at(&mut self, id: &SpaceId, name: &Name, path: &[At], typed: bool) -> Step<Value> {
        self.documents.document(self.spaces, id, name)?;
        let is_gone = self.has_mark(id, name, DELETED)?;
        let found = match is_gone {
            true if path.is_empty() => Some(Value::Object(Map::new())),
            true => None,
            false => self.documents.document(self.spaces, id, name)?.json_at(path, typed),
        };
        Ok(found.unwrap_or_default())
    }

    /// A document as an app sees it: empty, if it was deleted.
    fn shown<T>(
        &mut self,
        id: &SpaceId,
        name: &Name,
        look: impl FnOnce(&mut Document) -> T,
    ) -> Step<T> {
        self.documents.document(self.spaces, id, name)?;
        if self.has_mark(id, name, DELETED)? {
            return Ok(look(&mut Document::new(*id, name.clone())));
        }
        Ok(look(self.documents.document(self.spaces, id, name)?))
    }

    fn answer_question(&mut self, id: &SpaceId, name: &Name, asked: &Question) -> Step<Response> {
        Ok(match asked {
            Question::Content { path, typed, at } if at.is_empty() => {
                Response::Value(self.content_at(id, name, path, *typed)?)
            }
            Question::Content { path, typed, at } => {
                let document = self.documents.document(self.spaces, id, name)?;
                let found = document.as_of(at, path, *typed);
                Response::Value(found.ok_or(Failure::NotFound("change"))?.unwrap_or_default())
            }
            Question::History { before, limit } => {
                let told = self.documents.document(self.spaces, id, name)?.told();
                let from = match before {
                    Some(before) => {
                        let at = told.iter().position(|told| told.change == *before);
                        at.ok_or(Failure::NotFound("change"))? + 1
                    }
                    None => 0,
                };
                let changes = told.into_iter().skip(from).take(*limit);
                let view = changes.map(|told| ChangeView {
                    change: told.change,
                    author: told
                        .writer
                        .and_then(|writer| self.spaces.origin(self.account, id, &writer)),
                    at_ms: told.placement.map(|place| place.time_ms),
                });
                Response::History(view.collect())
            }
            Question::Conflicts { path } => {
                let all = self.documents.document(self.spaces, id, name)?.conflicts(path);
                let is_gone = self.has_mark(id, name, DELETED)?;
                let there = all.into_iter().filter(|_| !is_gone);
                let view = there.map(|(value, writer)| ConflictView {
                    value,
                    author: writer.and_then(|writer| self.spaces.origin(self.account, id, &writer)),
                });
                Response::Conflicts(view.collect())
            }
        })
    }

    fn list_apps(&mut self, id: &SpaceId) -> Step<Response> {
        self.take_up(id)?;
        let eras = &self.spaces.space(id)?.row.eras;
        if eras.is_waiting() {
            let documents = Vec::new();
            return Ok(Response::Documents(DocumentsView { documents, waiting: true }));
        }
        let era = eras.era();
        let index = self.index(id)?;
        let names = self.spaces.apps(id, era).into_iter().filter(|name| name != INDEX);
        let said = |name: &str, mark: &str| {
            index.get(name).and_then(|of| of.get(mark)) == Some(&Value::Bool(true))
        };
        let documents = names.filter(|name| !said(name, DELETED)).map(|name| {
            let archived = said(&name, ARCHIVED);
            let title = index.get(&name).and_then(|of| of.get(TITLE)).and_then(Value::as_str);
            let title = title.map(line::shown_title).filter(|title| !title.is_empty());
            DocumentView { name, title, archived }
        });
        let documents = documents.collect();
        Ok(Response::Documents(DocumentsView { documents, waiting: false }))
    }

    /// What the index says; nothing where none is.
    fn index(&mut self, id: &SpaceId) -> Step<Value> {
        let name = Name::App(self.spaces.space(id)?.row.eras.era(), INDEX.to_owned());
        if self.spaces.space(id)?.row.documents.binary_search(&name).is_err() {
            return Ok(Value::Null);
        }
        Ok(self.documents.document(self.spaces, id, &name)?.to_json())
    }

    fn has_mark(&mut self, id: &SpaceId, name: &Name, mark: &str) -> Step<bool> {
        let Name::App(_, bare) = name else { return Ok(false) };
        let index = self.index(id)?;
        Ok(index.get(bare).and_then(|of| of.get(mark)) == Some(&Value::Bool(true)))
    }
}
