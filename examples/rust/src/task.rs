use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use crate::error::{Error, Failure};
use crate::results;
use crate::session::Session;
use crate::v1::decision::Answer;
use crate::v1::proposal::Run;
use crate::v1::{
    Data, Decision, ErrorReason, Proposal, ProposedState, RejectReason, RetryPolicy, RunError, RunErrorKind,
    StateType, TaskRunSpec,
};

const PAUSE: Duration = Duration::from_secs(1);

/// One run of a task.
pub struct Task {
    /// Identifies the task: the same for all its runs.
    pub key: &'static str,
    /// Distinguishes the runs of one task in one flow run.
    pub dynamic_key: String,
    pub tags: Vec<String>,
    pub retries: i32,
    pub retry_delay: Duration,
    /// The key that other runs, in any language, find the result by; empty disables the cache.
    pub cache_key: String,
}

impl Task {
    /// Returns the run's name, for people.
    pub fn name(&self) -> String {
        format!("{}-{}", self.key, self.dynamic_key)
    }
}

/// The outcome of a run that completed.
pub struct Outcome {
    pub result: Value,
    /// The name of its last state: `Completed`, or `Cached` if its code was not run.
    pub state: String,
}

/// Runs a task in a flow run as the service decides: waits for slots, takes the result from the cache, retries after a
/// failure. The argument of `code` is the attempt, from 1.
///
/// Dropping the future stops the run: a queued proposal is withdrawn, a running run is Cancelled.
pub async fn run<C, F>(session: &Session, flow_run_id: &str, task: &Task, code: C) -> Result<Outcome, Error>
where
    C: Fn(u32) -> F,
    F: Future<Output = Result<Value, Failure>>,
{
    let spec = TaskRunSpec {
        id: new_id(),
        flow_run_id: flow_run_id.to_owned(),
        task_key: task.key.to_owned(),
        dynamic_key: task.dynamic_key.clone(),
        tags: task.tags.clone(),
        retry_policy: Some(RetryPolicy {
            max_attempts: task.retries + 1,
            delays: prost_types::Duration::try_from(task.retry_delay).into_iter().collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    for attempt in 1.. {
        let begun = enter(session, &spec, &task.cache_key).await?;
        let state = begun.state.clone().unwrap_or_default();
        if let Some(Answer::Reject(reject)) = &begun.answer {
            if reject.reason() != RejectReason::Cached {
                return Err(unexpected(&begun));
            }
            return Ok(Outcome { result: results::read(state.data.as_ref())?, state: state.name });
        }
        let mut held = Held { session, run_id: &begun.run_id, done: false };
        let done = match code(attempt).await {
            Ok(result) => results::write(&result)
                .map(|data| (result, data))
                .map_err(|error| (RunErrorKind::Result, Failure::from(error))),
            Err(failure) => Err((RunErrorKind::Application, failure)),
        };
        held.done = true;
        match done {
            Ok((result, data)) => {
                let completed = ProposedState {
                    data: Some(data),
                    cache_key: task.cache_key.clone(),
                    ..of(StateType::Completed, "")
                };
                let ended = decide(session, task_run(&begun.run_id, completed)).await?;
                return match (&ended.answer, &ended.state) {
                    (Some(Answer::Accept(_)), Some(state)) => Ok(Outcome { result, state: state.name.clone() }),
                    _ => Err(unexpected(&ended)),
                };
            }
            Err((kind, failure)) => {
                let error = RunError { kind: kind.into(), ..failure.portable() };
                let message = format!("{}: {}", error.r#type, error.message);
                let failed = decide(session, task_run(&begun.run_id, failure_state(error, &message))).await?;
                if let Some(Answer::Accept(_)) = failed.answer {
                    return Err(Error::TaskFailed(format!("{} failed: {message}", task.name())));
                }
                sleep(retry_delay(&failed).ok_or_else(|| unexpected(&failed))?).await;
            }
        }
    }
    unreachable!("a run has an end before attempts do")
}

/// Returns how long to wait before the retry that a decision schedules; none for another decision.
fn retry_delay(decision: &Decision) -> Option<Duration> {
    let Some(Answer::Reject(reject)) = &decision.answer else {
        return None;
    };
    if reject.reason() != RejectReason::RetryScheduled {
        return None;
    }
    // Both times are the service's, so the clocks need not agree.
    let state = decision.state.as_ref()?;
    let nanos = |time: &prost_types::Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let delay = nanos(state.details.as_ref()?.scheduled_time.as_ref()?) - nanos(state.create_time.as_ref()?);
    Some(Duration::from_nanos(u64::try_from(delay.max(0)).ok()?))
}

/// A run whose code is running; dropping it ends the run.
struct Held<'a> {
    session: &'a Session,
    run_id: &'a str,
    done: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let proposal = if std::thread::panicking() {
            task_run(self.run_id, of(StateType::Crashed, "its code panicked"))
        } else {
            cancelled(self.run_id, "interrupted")
        };
        self.session.propose_and_forget(proposal);
    }
}

/// Proposes Running until its time has come; returns an accept or a reject.
async fn enter(session: &Session, spec: &TaskRunSpec, cache_key: &str) -> Result<Decision, Error> {
    loop {
        let decision = decide(session, Proposal {
            id: new_id(),
            create_task_run: Some(spec.clone()),
            state: Some(ProposedState { cache_key: cache_key.to_owned(), ..of(StateType::Running, "") }),
            run: None,
        })
        .await?;
        let Some(Answer::Wait(wait)) = &decision.answer else {
            return Ok(decision);
        };
        sleep(wait.retry_after.and_then(|delay| Duration::try_from(delay).ok()).unwrap_or(PAUSE)).await;
    }
}

/// Returns the final decision about a proposal: an accept, a reject, or a wait with a delay.
pub async fn decide(session: &Session, proposal: Proposal) -> Result<Decision, Error> {
    loop {
        let decision = session.propose(proposal.clone()).await?;
        match &decision.answer {
            Some(Answer::Accept(_) | Answer::Reject(_) | Answer::Wait(_)) => return Ok(decision),
            Some(Answer::Abort(abort)) => {
                return Err(Error::Aborted(format!("the run must not go on: {}", abort.message)));
            }
            Some(Answer::Error(error)) => match error.reason() {
                ErrorReason::StoreUnavailable | ErrorReason::ShuttingDown => sleep(PAUSE).await,
                _ => {
                    let message = format!("the proposal was not taken: {} {}", error.field, error.message);
                    return Err(Error::Other(message));
                }
            },
            None => return Err(unexpected(&decision)),
        }
    }
}

/// Returns a state of a type to propose, with a message for people.
pub fn of(kind: StateType, message: &str) -> ProposedState {
    ProposedState { r#type: kind.into(), message: message.to_owned(), ..Default::default() }
}

/// Returns a Failed state that all languages can show.
pub fn failure_state(error: RunError, message: &str) -> ProposedState {
    ProposedState { data: Some(Data { error: Some(error), ..Default::default() }), ..of(StateType::Failed, message) }
}

/// Proposes a state for a flow run, under a new id.
pub fn flow_run(id: &str, state: ProposedState) -> Proposal {
    Proposal { id: new_id(), run: Some(Run::FlowRunId(id.to_owned())), state: Some(state), create_task_run: None }
}

/// Proposes that a task run is Cancelled.
pub fn cancelled(id: &str, message: &str) -> Proposal {
    task_run(id, of(StateType::Cancelled, message))
}

fn task_run(id: &str, state: ProposedState) -> Proposal {
    Proposal { id: new_id(), run: Some(Run::TaskRunId(id.to_owned())), state: Some(state), create_task_run: None }
}

/// Returns a new id, greater than all earlier ones.
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

fn unexpected(decision: &Decision) -> Error {
    let state = decision.state.as_ref().map_or("no state", |state| state.r#type().as_str_name());
    Error::Other(format!("this client does not know what to do after {:?} with {state}", decision.answer))
}
