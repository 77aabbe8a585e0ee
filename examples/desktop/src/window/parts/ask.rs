//! Questions that are answered with yes or no.

use adw::prelude::*;
use tokio::sync::oneshot;

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    /// What is asked.
    pub(crate) title: &'a str,
    /// What follows from a yes.
    pub(crate) text: &'a str,
    /// What the button says that means yes.
    pub(crate) yes: &'a str,
    /// Whether yes can't be taken back.
    pub(crate) is_dangerous: bool,
}

/// Asks, and waits for the answer.
pub(crate) async fn ask(parent: &impl IsA<gtk::Widget>, question: Question<'_>) -> bool {
    let window = parent.root().and_downcast::<gtk::Window>();
    let dialog =
        adw::MessageDialog::new(window.as_ref(), Some(question.title), Some(question.text));
    dialog.add_responses(&[("no", "Cancel"), ("yes", question.yes)]);
    let look = match question.is_dangerous {
        true => adw::ResponseAppearance::Destructive,
        false => adw::ResponseAppearance::Suggested,
    };
    dialog.set_response_appearance("yes", look);
    dialog.set_default_response(Some(if question.is_dangerous { "no" } else { "yes" }));
    dialog.set_close_response("no");
    let (said, answer) = oneshot::channel();
    let said = std::cell::Cell::new(Some(said));
    dialog.connect_response(None, move |_, response| {
        if let Some(said) = said.take() {
            let _ = said.send(response == "yes");
        }
    });
    dialog.present();
    answer.await.unwrap_or(false)
}
