//! The socket itself: who may come, and how much they may say.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Answers, Ask, LINE, Told};

/// How long a question may take to arrive.
const QUESTION: Duration = Duration::from_secs(10);
/// How long an answer may take to be taken.
const ANSWER: Duration = Duration::from_secs(30);
/// Questions at once: a script that asks in a loop, and does not read, fills no memory.
const AT_ONCE: usize = 64;
/// Only its owner may connect.
const MODE: u32 = 0o600;

/// The socket can't be used.
#[derive(Debug, Error)]
#[error("{}: {cause}; choose another --admin socket", path.display())]
pub struct AdminError {
    /// Where it should be.
    pub path: PathBuf,
    /// What the system said.
    pub cause: std::io::Error,
}

/// Listens at a path, which belongs to whoever holds the store: what is left there of a relay that
/// was killed is replaced. Must run inside a tokio runtime.
///
/// # Errors
/// If there is something else, or it can't be made.
pub fn listen(
    path: &Path,
    answers: Answers,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + 'static, AdminError> {
    let failed = |cause: std::io::Error| AdminError { path: path.to_owned(), cause };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            std::fs::remove_file(path).map_err(failed)?;
        }
        Ok(_) => return Err(failed(std::io::Error::other("something else is there"))),
        Err(_) => {}
    }
    // It has its name only once it is closed to others.
    let unnamed = path.with_extension("new");
    let _ = std::fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed).map_err(failed)?;
    let mode = std::fs::Permissions::from_mode(MODE);
    std::fs::set_permissions(&unnamed, mode).map_err(failed)?;
    std::fs::rename(&unnamed, path).map_err(failed)?;
    let path = path.to_owned();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    Ok(async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    // Who comes beyond that is turned away, and may come again.
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let serves = serve(stream, answers.clone());
                    tokio::spawn(async move {
                        serves.await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        let _ = std::fs::remove_file(&path);
    })
}

/// One question, one answer.
async fn serve(stream: UnixStream, answers: Answers) {
    let (from, mut to) = stream.into_split();
    let mut line = Vec::new();
    let mut from = BufReader::new(from.take(LINE as u64));
    let read = tokio::time::timeout(QUESTION, from.read_until(b'\n', &mut line)).await;
    if !matches!(read, Ok(Ok(1..))) {
        return;
    }
    let told = match serde_json::from_slice::<Ask>(&line) {
        Ok(ask) => match answers.answer(ask).await {
            Ok(value) => Told::Ok(value),
            Err(error) => Told::Error(error),
        },
        Err(error) => Told::Error(format!("that is no question: {error}")),
    };
    let mut said = serde_json::to_vec(&told).unwrap_or_default();
    said.push(b'\n');
    let told = async {
        to.write_all(&said).await?;
        to.shutdown().await
    };
    let _ = tokio::time::timeout(ANSWER, told).await;
}
