//! The machine mode: JSON-RPC 2.0, one message a line.
//!
//! Requests take effect in the order of their lines and are answered as they complete. At the end
//! of the input, what is under way is finished and the client is closed.

mod discover;
mod error;
mod everything;
mod lines;
mod notices;
mod people;
mod request;

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use sync_client::{Client, Submitted};
use sync_core::json::{self, Plan, Shape};
use sync_core::{Failure, Response};
use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

use error::RpcError;
use lines::Line;
use people::People;
use request::Request;

/// Messages that may wait for whoever reads stdout.
const OUTGOING: usize = 1024;
/// Requests under way; further lines are read when one is answered.
const UNDER_WAY: usize = 4096;

/// Serves until stdin ends, stdout closes or the process is told to stop.
///
/// # Errors
/// If stdin can't be read.
pub(crate) async fn serve(client: Client) -> io::Result<()> {
    let (outgoing, queue) = channel(OUTGOING);
    let writer = tokio::spawn(write(queue));
    let people = Arc::new(People::new(client.clone()));
    let notices = tokio::spawn(notices::forward(client.events(), people.clone(), outgoing.clone()));
    let server = Server { client: client.clone(), people, outgoing };
    let outcome = tokio::select! {
        outcome = server.read() => outcome,
        () = stopped() => Ok(()),
    };
    notices.abort();
    let _ = notices.await;
    drop(server);
    client.close().await;
    let _ = writer.await;
    outcome
}

struct Server {
    client: Client,
    people: Arc<People>,
    outgoing: Sender<String>,
}

impl Server {
    async fn read(&self) -> io::Result<()> {
        let mut input = BufReader::new(tokio::io::stdin());
        let mut under_way = JoinSet::new();
        while !self.outgoing.is_closed()
            && let Some(line) = lines::next(&mut input).await?
        {
            self.take(line, &mut under_way).await;
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= UNDER_WAY {
                under_way.join_next().await;
            }
        }
        while under_way.join_next().await.is_some() {}
        Ok(())
    }

    async fn take(&self, line: Line, under_way: &mut JoinSet<()>) {
        let line = match line {
            Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => return,
            Line::Whole(line) => line,
            Line::TooLong => {
                return self.send(error_reply(&Value::Null, &RpcError::too_long())).await;
            }
        };
        let request = match request::parse(&line) {
            Ok(request) => request,
            Err((id, error)) => return self.send(error_reply(&id, &error)).await,
        };
        if request.method == "rpc.discover" {
            return self.answer(&request, Ok(discover::document())).await;
        }
        match everything::parse(&request.method, &request.params) {
            Some(Ok(call)) => {
                let server = self.share();
                under_way.spawn(async move {
                    let outcome = server.over_everything(call).await;
                    server.answer(&request, outcome).await;
                });
                return;
            }
            Some(Err(error)) => return self.answer(&request, Err(error.into())).await,
            None => {}
        }
        match json::plan(&request.method, &request.params) {
            Ok(plan) => self.start(request, plan, under_way).await,
            Err(error) => self.answer(&request, Err(error.into())).await,
        }
    }

    /// Another hold of the same.
    fn share(&self) -> Self {
        Self {
            client: self.client.clone(),
            people: self.people.clone(),
            outgoing: self.outgoing.clone(),
        }
    }

    /// Hands the command over now, so that commands keep the order of their lines, and waits for
    /// the answer beside the others.
    async fn start(&self, request: Request, plan: Plan, under_way: &mut JoinSet<()>) {
        let submitted = self.client.submit(plan.command).await;
        let server = self.share();
        under_way.spawn(async move {
            let outcome = server.finish(submitted, plan.shape).await;
            server.answer(&request, outcome.map_err(RpcError::from)).await;
        });
    }

    async fn finish(&self, submitted: Submitted, shape: Shape) -> Result<Value, Failure> {
        match shape {
            Shape::Wait(patience) => match timeout(patience, submitted.answer()).await {
                Ok(answer) => answer.map(|_| reached(true)),
                Err(_) => Ok(reached(false)),
            },
            Shape::Status => {
                let mut status = json::response(submitted.answer().await?);
                if let (Some(problem), Value::Object(fields)) =
                    (self.client.connection_problem(), &mut status)
                {
                    fields.insert("connection_problem".to_owned(), problem.to_string().into());
                }
                Ok(status)
            }
            Shape::Plain => match submitted.answer().await? {
                Response::Messages(messages) => {
                    let people = self.people.of(&messages).await;
                    Ok(messages.iter().map(|message| json::message(message, &people)).collect())
                }
                other => Ok(json::response(other)),
            },
        }
    }

    async fn answer(&self, request: &Request, outcome: Result<Value, RpcError>) {
        // A notification is done, and not answered.
        let Some(id) = &request.id else { return };
        let reply = match outcome {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => error_reply(id, &error),
        };
        self.send(reply).await;
    }

    async fn send(&self, reply: Value) {
        // A closed stdout ends the reading.
        let _ = self.outgoing.send(reply.to_string()).await;
    }
}

/// Whether what was waited for came in time.
fn reached(came: bool) -> Value {
    json!({ "reached": came })
}

fn error_reply(id: &Value, error: &RpcError) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error.to_json() })
}

/// Writes messages as they come, and flushes whenever none waits.
async fn write(mut queue: Receiver<String>) -> io::Result<()> {
    let mut output = BufWriter::new(tokio::io::stdout());
    while let Some(message) = queue.recv().await {
        output.write_all(message.as_bytes()).await?;
        output.write_all(b"\n").await?;
        while let Ok(message) = queue.try_recv() {
            output.write_all(message.as_bytes()).await?;
            output.write_all(b"\n").await?;
        }
        output.flush().await?;
    }
    output.flush().await
}

/// Resolves when the process is asked to stop.
#[cfg(unix)]
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminated), Ok(mut hung_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = hung_up.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn stopped() {
    let _ = tokio::signal::ctrl_c().await;
}
