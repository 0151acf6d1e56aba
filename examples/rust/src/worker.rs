use std::fmt;
use std::time::Duration;

use serde_json::{json, Value};
use tokio::signal::unix::{signal, SignalKind};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cache_key::input_key;
use crate::error::{Error, Failure};
use crate::options::Options;
use crate::session::Session;
use crate::task::{self, Outcome, Task};
use crate::v1::{CreateFlowRunRequest, FlowRunSpec, StateType};

const INTERRUPTED: u8 = 130;
// After an interrupt the worker ends within this time, even if the server is gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the flow; returns the exit code.
pub async fn run(options: Options) -> Result<u8, Error> {
    let name = format!("rust-worker {}", std::process::id());
    let session = Session::open(&options.address, &name).await?;
    let done = work(&session, &options).await;
    match done {
        Ok(INTERRUPTED) => drop(timeout(FAREWELL, session.close()).await),
        _ => session.close().await,
    }
    done
}

async fn work(session: &Session, options: &Options) -> Result<u8, Error> {
    let flow_run_id = task::new_id();
    let flow_run = FlowRunSpec {
        id: flow_run_id.clone(),
        flow_name: options.flow.clone(),
        tags: vec!["rust".to_owned()],
        parameters_json: json!({"tasks": options.tasks, "texts": options.texts}).to_string(),
        ..Default::default()
    };
    let request = CreateFlowRunRequest { flow_run: Some(flow_run), ..Default::default() };
    session.client.clone().create_flow_run(request).await?;
    let propose = |state| task::decide(session, task::flow_run(&flow_run_id, state));
    propose(task::of(StateType::Running, "")).await?;
    println!("flow run {flow_run_id}");

    // All are proposed at once; those without a free slot wait in the server's queue.
    let mut runs = start(session, &flow_run_id, options)?;
    let all = runs.len();
    let mut failures = Vec::new();
    let interrupted = tokio::select! {
        () = collect(&mut runs, &mut failures) => false,
        lost = session.lost() => {
            runs.shutdown().await;
            return Err(lost);
        }
        told = interrupt() => {
            told.map_err(|error| Error::Other(format!("no signals can be heard: {error}")))?;
            true
        }
    };
    if interrupted {
        // Drops their futures: queued proposals are withdrawn, running runs are Cancelled.
        runs.shutdown().await;
        match timeout(FAREWELL, propose(task::of(StateType::Cancelled, "interrupted"))).await {
            Ok(decided) => drop(decided?),
            Err(_) => eprintln!("interrupted; the server is not there to be told, and crashes the runs later"),
        }
        return Ok(INTERRUPTED);
    }
    if let Some(lost @ Error::SessionLost(_)) = failures.iter().find(|each| matches!(each, Error::SessionLost(_))) {
        return Err(lost.clone());
    }
    println!("{} ended well, {} did not; resumed {} times", all - failures.len(), failures.len(), session.resumed());
    let Some(first) = failures.first() else {
        propose(task::of(StateType::Completed, "")).await?;
        return Ok(0);
    };
    let message = format!("{} of {all} runs did not end well", failures.len());
    let error = Failure::from(first.clone()).portable();
    propose(task::failure_state(error, &message)).await?;
    eprintln!("{message}: {first}");
    Ok(1)
}

async fn interrupt() -> std::io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told,
        _ = terminated.recv() => Ok(()),
    }
}

async fn collect(runs: &mut JoinSet<Result<(), Error>>, failures: &mut Vec<Error>) {
    while let Some(joined) = runs.join_next().await {
        let ended = joined.unwrap_or_else(|panic| Err(Error::TaskFailed(format!("a task's code panicked: {panic}"))));
        failures.extend(ended.err());
    }
}

/// Starts a run of each task.
fn start(session: &Session, flow_run_id: &str, options: &Options) -> Result<JoinSet<Result<(), Error>>, Error> {
    let mut runs = JoinSet::new();
    for number in 0..options.tasks {
        let task = Task {
            key: "work",
            dynamic_key: number.to_string(),
            tags: options.tags.clone(),
            retries: options.retries as i32,
            retry_delay: Duration::from_millis(options.retry_delay_ms.into()),
            cache_key: String::new(),
        };
        let (session, flow_run_id, options) = (session.clone(), flow_run_id.to_owned(), options.clone());
        runs.spawn(async move {
            let code = |attempt| work_once(&options, number, attempt);
            show(&task, &task::run(&session, &flow_run_id, &task, code).await?);
            Ok(())
        });
    }
    for (place, text) in options.texts.iter().enumerate() {
        let inputs = serde_json::Map::from_iter([("text".to_owned(), json!(text))]);
        let task = Task {
            key: "normalise",
            dynamic_key: place.to_string(),
            tags: options.tags.clone(),
            retries: 0,
            retry_delay: Duration::ZERO,
            cache_key: input_key("normalise", &inputs)?,
        };
        let (session, flow_run_id, text) = (session.clone(), flow_run_id.to_owned(), text.clone());
        runs.spawn(async move {
            let code = |_| async { Ok(json!(text.trim().to_lowercase())) };
            show(&task, &task::run(&session, &flow_run_id, &task, code).await?);
            Ok(())
        });
    }
    Ok(runs)
}

fn show(task: &Task, outcome: &Outcome) {
    println!("{} {} {}", task.name(), outcome.state, outcome.result);
}

/// An attempt was told to fail.
#[derive(Debug)]
struct ToldToFail {
    attempt: u32,
}

impl fmt::Display for ToldToFail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "attempt {} was told to fail", self.attempt)
    }
}

impl std::error::Error for ToldToFail {}

async fn work_once(options: &Options, number: u32, attempt: u32) -> Result<Value, Failure> {
    sleep(Duration::from_millis(options.milliseconds.into())).await;
    if attempt <= options.fail_attempts {
        Err(ToldToFail { attempt })?;
    }
    let mut result = json!({"task": number, "attempt": attempt});
    if options.result_bytes > 0 {
        result["filling"] = json!("x".repeat(options.result_bytes as usize));
    }
    Ok(result)
}
