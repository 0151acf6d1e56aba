use std::error::Error as StdError;
use std::fmt;
use std::panic::Location;

use tonic_types::StatusExt;

use crate::v1::{ErrorReason, RunError, RunErrorKind};

// A failure with all its causes must stay below 65,536 bytes, at up to four bytes a character.
const MAX_TEXT: usize = 2_000;
const MAX_DEPTH: usize = 5;

/// An error that the user can fix.
#[derive(Clone, Debug)]
pub enum Error {
    /// Something is wrong with the command line.
    Usage(String),
    /// The service aborted a proposal: the run's code must not continue.
    Aborted(String),
    /// The session has ended; if it expired, its runs are Crashed.
    SessionLost(String),
    /// A task failed and has no retry left.
    TaskFailed(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text)
        | Self::Aborted(text)
        | Self::SessionLost(text)
        | Self::TaskFailed(text)
        | Self::Other(text)) = self;
        out.write_str(text)
    }
}

impl StdError for Error {}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Other(format!("the call failed: {}", status.message()))
    }
}

/// Returns the reason of a failed call: unspecified if it has none, or one that this client does not know.
pub fn reason_of(status: &tonic::Status) -> ErrorReason {
    status
        .get_details_error_info()
        .and_then(|info| ErrorReason::from_str_name(&info.reason))
        .unwrap_or_default()
}

/// The error that a task's code returned with `?`, and where.
#[derive(Debug)]
pub struct Failure {
    kind: &'static str,
    error: Box<dyn StdError + Send + Sync>,
    place: &'static Location<'static>,
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        Self {
            kind: std::any::type_name::<E>(),
            error: Box::new(error),
            place: Location::caller(),
        }
    }
}

impl Failure {
    /// Returns the failure in a form that every language can show, within the limits of the protocol.
    pub fn portable(&self) -> RunError {
        let mut error = told(self.kind, self.error.as_ref(), 1);
        error.stack_trace = format!("   at {}", self.place);
        error
    }
}

/// The types of causes are not known, so each is a `dyn Error`.
fn told(kind: &str, error: &dyn StdError, depth: usize) -> RunError {
    let cause = error.source().filter(|_| depth < MAX_DEPTH);
    RunError {
        kind: RunErrorKind::Application.into(),
        r#type: kind.chars().take(255).collect(),
        message: error.to_string().chars().take(MAX_TEXT).collect(),
        cause: cause.map(|cause| Box::new(told("dyn std::error::Error", cause, depth + 1))),
        ..RunError::default()
    }
}
