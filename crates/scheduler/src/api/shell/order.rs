//! What the document calls a job: a request with an action, and one command or several.

use axum::body::Bytes;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::failure::Wrong;
use crate::api::jobs::Submitted;
use crate::api::{Api, Failure};
use crate::client::Request;
use crate::job::{Command, JobSpec};

/// A job as the shell system's clients send it. Any other key of a `JobSpec` is taken, too.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it only describes what is read as a `JobSpec`")]
pub struct NewJob {
    /// What is to be done, which can only be this.
    #[schemars(regex(pattern = "^add_job$"))]
    action: Option<String>,
    /// A program with its arguments; or, in place of it, `commands`.
    #[schemars(length(min = 1))]
    command: Option<Vec<String>>,
    /// Programs that run one after the other, up to the first that fails.
    commands: Option<Vec<Command>>,
    /// The environment, literally: nothing in it is expanded.
    environment: Option<std::collections::BTreeMap<String, String>>,
    /// A second request with the same id is the same job. Without it, the job's number is its id.
    request_id: Option<String>,
}

/// A job that is ordered: what was sent, and what that means.
#[derive(Debug)]
pub struct Order {
    sent: Map<String, Value>,
    pub spec: JobSpec,
}

impl Order {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::new(StatusCode::BAD_REQUEST, "invalid_body", text);
        let sent: Value = serde_json::from_slice(bytes)
            .map_err(|error| invalid(format!("the body is not understood: {error}")))?;
        let Value::Object(sent) = sent else {
            return Err(invalid("the body is not understood: it must be a JSON object".to_owned()));
        };
        let mut job = sent.clone();
        match job.remove("action") {
            None => {}
            Some(Value::String(action)) if action == "add_job" => {}
            Some(_) => return Err(wrong("action", "the only action is `add_job`")),
        }
        if let Some(command) = job.remove("command") {
            if job.contains_key("commands") {
                return Err(wrong("command", "there is `commands`, too: send one of them"));
            }
            job.insert("commands".to_owned(), json!([{ "exec": command }]));
        }
        let spec = serde_path_to_error::deserialize(Value::Object(job)).map_err(|error| {
            let key = error.path().to_string();
            // The one command was put where all are.
            let key = if sent.contains_key("command") {
                key.replacen("commands[0].exec", "command", 1)
            } else {
                key
            };
            wrong(&key, &error.into_inner().to_string())
        })?;
        Ok(Self { sent, spec })
    }

    /// Submits it.
    ///
    /// # Errors
    /// If it is not taken.
    pub async fn submit(&self, api: &Api, by: String) -> Result<Submitted, Failure> {
        let request = Request::Submit { spec: Box::new(self.spec.clone()), by, dry_run: false };
        api.submit(request, false).await
    }

    /// What was sent, with the id of the request and the job's number.
    pub fn answer(mut self, submitted: &Submitted) -> Value {
        let number = submitted.job.to_string();
        let id = self.spec.request_id.take().unwrap_or_else(|| number.clone());
        self.sent.insert("request_id".to_owned(), id.into());
        self.sent.insert("schedulerjob-idx".to_owned(), number.into());
        Value::Object(self.sent)
    }
}

/// The body of a request whose type nobody asks for.
///
/// # Errors
/// If it is empty.
pub fn needed(body: &Bytes) -> Result<&Bytes, Failure> {
    if body.trim_ascii().is_empty() {
        let text = "there is no body: send a job, as `{\"command\": [\"echo\", \"hello\"]}`";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid_body", text));
    }
    Ok(body)
}

fn wrong(key: &str, what: &str) -> Failure {
    let text = format!("`{key}`: {what}");
    let mut failure = Failure::new(StatusCode::BAD_REQUEST, "invalid_body", text);
    failure.problems.push(Wrong { key: key.to_owned(), what: what.to_owned() });
    failure
}
