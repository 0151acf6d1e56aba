use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{interval_at, sleep, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::error::{reason_of, Error};
use crate::v1::decision::Answer;
use crate::v1::orchestrator_client::OrchestratorClient;
use crate::v1::{Decision, ErrorReason, GetServerInfoRequest, Hello, Proposal, ProposeRequest, ProposeResponse, Welcome};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const LEASE_BEFORE_WELCOME: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const BATCH: usize = 256;

/// A session with the service, over a stream that is opened again when it breaks.
///
/// Runs that enter Running through it belong to it: when it ends, those that are still Running become Crashed, and
/// their slots are released. A task of its own reads and writes the stream and renews the lease; clones are handles to
/// the same session.
#[derive(Clone)]
pub struct Session {
    /// Unary calls.
    pub client: OrchestratorClient<Channel>,
    commands: mpsc::UnboundedSender<Command>,
    ended: watch::Receiver<Option<Error>>,
    resumed: Arc<AtomicU32>,
}

enum Command {
    Propose(Box<Proposal>, oneshot::Sender<Decision>),
    /// The caller has gone.
    Withdraw(String),
    Close,
}

impl Session {
    /// Opens a session at a server's `host:port`; `client_name` is who the client is, for people.
    pub async fn open(address: &str, client_name: &str) -> Result<Self, Error> {
        let absent = |why: &dyn std::fmt::Display| Error::Other(format!("no Clearway server answers at {address}: {why}"));
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Error::Usage(format!("--address is '{address}': {error}")))?
            .connect_timeout(CONNECT_TIMEOUT);
        let mut client = OrchestratorClient::new(endpoint.connect_lazy());
        timeout(CONNECT_TIMEOUT, client.get_server_info(GetServerInfoRequest {}))
            .await
            .map_err(|_| absent(&"it took too long"))?
            .map_err(|status| absent(&status.message()))?;
        let (commands, received) = mpsc::unbounded_channel();
        let (end, mut ended) = watch::channel(None);
        let (welcomed, opened) = oneshot::channel();
        let resumed = Arc::new(AtomicU32::new(0));
        let driver = Driver {
            client: client.clone(),
            client_name: client_name.to_owned(),
            commands: received,
            undecided: BTreeMap::new(),
            withdrawn: HashSet::new(),
            welcome: Welcome::default(),
            opened: Some(welcomed),
            resumed: resumed.clone(),
            closing: false,
        };
        tokio::spawn(async move {
            let reason = driver.run().await.err();
            let _ = end.send(Some(reason.unwrap_or_else(|| Error::SessionLost("the session is closed".to_owned()))));
        });
        if opened.await.is_err() {
            return Err(Self::reason(&mut ended).await);
        }
        Ok(Self { client, commands, ended, resumed })
    }

    /// Proposes a state and returns the final decision. It waits while the proposal is queued.
    ///
    /// Dropping the future withdraws the proposal. If it was accepted just before, its run is Cancelled.
    pub async fn propose(&self, proposal: Proposal) -> Result<Decision, Error> {
        let mut withdrawal = Withdrawal { session: self, proposal_id: Some(proposal.id.clone()) };
        let (answer, decision) = oneshot::channel();
        let _ = self.commands.send(Command::Propose(Box::new(proposal), answer));
        let decided = decision.await;
        withdrawal.proposal_id = None;
        match decided {
            Ok(decision) => Ok(decision),
            Err(_) => Err(self.lost().await),
        }
    }

    /// Proposes a state without waiting for the decision; `close` waits for it.
    pub fn propose_and_forget(&self, proposal: Proposal) {
        let _ = self.commands.send(Command::Propose(Box::new(proposal), oneshot::channel().0));
    }

    /// Waits for the session's end and returns its reason.
    pub async fn lost(&self) -> Error {
        Self::reason(&mut self.ended.clone()).await
    }

    async fn reason(ended: &mut watch::Receiver<Option<Error>>) -> Error {
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().expect("it was waited for"),
            Err(_) => Error::SessionLost("the session is closed".to_owned()),
        }
    }

    /// How often the stream was opened again.
    pub fn resumed(&self) -> u32 {
        self.resumed.load(Ordering::Relaxed)
    }

    /// Waits until everything is decided, then says goodbye. Runs that are still Running become Crashed.
    pub async fn close(self) {
        let _ = self.commands.send(Command::Close);
        self.lost().await;
    }
}

struct Withdrawal<'a> {
    session: &'a Session,
    proposal_id: Option<String>,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.proposal_id.take() {
            let _ = self.session.commands.send(Command::Withdraw(id));
        }
    }
}

/// The owner of the stream.
struct Driver {
    client: OrchestratorClient<Channel>,
    client_name: String,
    commands: mpsc::UnboundedReceiver<Command>,
    // Proposals without a final decision, which are sent again, with the same ids, on each new stream. Ids are
    // time-ordered, so they are in the order in which they were made.
    undecided: BTreeMap<String, (Proposal, oneshot::Sender<Decision>)>,
    // Withdrawn proposals, which may have been decided nevertheless.
    withdrawn: HashSet<String>,
    welcome: Welcome,
    opened: Option<oneshot::Sender<()>>,
    resumed: Arc<AtomicU32>,
    closing: bool,
}

impl Driver {
    /// Reads one stream after the other, until the session ends.
    async fn run(mut self) -> Result<(), Error> {
        let mut failures = 0;
        loop {
            let (outgoing, requests) = mpsc::unbounded_channel();
            if let Err(status) = self.stream(outgoing, requests, &mut failures).await {
                if reason_of(&status) == ErrorReason::SessionExpired {
                    let message = format!("the session has expired, so its runs are Crashed: {}", status.message());
                    return Err(Error::SessionLost(message));
                }
                if is_hopeless(status.code()) {
                    return Err(Error::SessionLost(format!("the server ended the stream: {}", status.message())));
                }
            }
            let longest = (Duration::from_millis(50) * 2_u32.pow(failures)).min(LONGEST_PAUSE);
            failures = (failures + 1).min(10);
            // Drawn from the id's random bits, so that many clients do not come back at once.
            let pause = longest / 2 + longest / 2 * u32::from(uuid::Uuid::now_v7().as_bytes()[15]) / 255;
            let pausing = sleep(pause);
            tokio::pin!(pausing);
            loop {
                // Even if the goodbye did not arrive: the session ends after its grace.
                if self.closing && self.undecided.is_empty() {
                    return Ok(());
                }
                tokio::select! {
                    () = &mut pausing => break,
                    Some(command) = self.commands.recv() => self.take(command, &mut ProposeRequest::default()),
                }
            }
        }
    }

    /// Opens one stream and reads it, until it ends or is silent for a whole lease.
    async fn stream(
        &mut self,
        outgoing: mpsc::UnboundedSender<ProposeRequest>,
        requests: mpsc::UnboundedReceiver<ProposeRequest>,
        failures: &mut u32,
    ) -> Result<(), Status> {
        let hello = Hello {
            client_name: self.client_name.clone(),
            language: "rust".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            resume_session_id: self.welcome.session_id.clone(),
        };
        let _ = outgoing.send(ProposeRequest { hello: Some(hello), ..Default::default() });
        let silent = |_| Status::unavailable("nothing came for a whole lease");
        let opening = self.client.propose(UnboundedReceiverStream::new(requests));
        let mut responses = timeout(LEASE_BEFORE_WELCOME, opening).await.map_err(silent)??.into_inner();
        let first = timeout(LEASE_BEFORE_WELCOME, responses.message()).await.map_err(silent)??;
        let first = first.ok_or_else(|| Status::unavailable("the stream ended before the welcome"))?;
        let lease = self.begin(&first);
        self.send(&outgoing, self.again());
        self.hear(first, &outgoing);
        let mut outgoing = Some(outgoing);
        let mut heard = Instant::now();
        let mut pings = interval_at(tokio::time::Instant::now() + lease / 3, lease / 3);
        let mut ping = 0;
        let mut commands = Vec::with_capacity(BATCH);
        loop {
            if self.closing && self.undecided.is_empty() {
                // Dropping it closes this side.
                if let Some(outgoing) = outgoing.take() {
                    let _ = outgoing.send(ProposeRequest { goodbye: true, ..Default::default() });
                }
            }
            tokio::select! {
                message = responses.message() => match message? {
                    None => return Ok(()),
                    Some(message) => {
                        heard = Instant::now();
                        *failures = 0;
                        if let Some(outgoing) = &outgoing {
                            self.hear(message, outgoing);
                        }
                    }
                },
                _ = self.commands.recv_many(&mut commands, BATCH), if outgoing.is_some() => {
                    let mut request = ProposeRequest::default();
                    for command in commands.drain(..) {
                        self.take(command, &mut request);
                    }
                    if let Some(outgoing) = &outgoing {
                        self.send(outgoing, request);
                    }
                }
                _ = pings.tick() => {
                    if heard.elapsed() > lease {
                        return Err(Status::unavailable("nothing came for a whole lease"));
                    }
                    ping += 1;
                    if let Some(outgoing) = &outgoing {
                        let _ = outgoing.send(ProposeRequest { ping, ..Default::default() });
                    }
                }
            }
        }
    }

    /// Stores the welcome; returns the lease.
    fn begin(&mut self, first: &ProposeResponse) -> Duration {
        let resumes = !self.welcome.session_id.is_empty();
        self.welcome = first.welcome.clone().unwrap_or_default();
        if resumes {
            self.resumed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(());
        }
        let lease = self.welcome.lease.and_then(|lease| Duration::try_from(lease).ok());
        lease.filter(|lease| !lease.is_zero()).unwrap_or(LEASE_BEFORE_WELCOME)
    }

    fn again(&self) -> ProposeRequest {
        let proposals = self.undecided.values().map(|(proposal, _)| proposal.clone()).collect();
        ProposeRequest { proposals, ..Default::default() }
    }

    /// Sends a request, split into messages that the server allows.
    fn send(&self, outgoing: &mpsc::UnboundedSender<ProposeRequest>, request: ProposeRequest) {
        // Half of a message is left for the overhead.
        let room = self.welcome.max_message_bytes as usize / 2;
        let mut message = ProposeRequest { withdrawals: request.withdrawals, ..Default::default() };
        let mut size = 0;
        for proposal in request.proposals {
            let more = proposal.encoded_len();
            let full = size + more > room || message.proposals.len() >= self.welcome.max_proposals as usize;
            if full && !message.proposals.is_empty() {
                let _ = outgoing.send(std::mem::take(&mut message));
                size = 0;
            }
            size += more;
            message.proposals.push(proposal);
        }
        if !message.proposals.is_empty() || !message.withdrawals.is_empty() {
            let _ = outgoing.send(message);
        }
    }

    /// Handles a command, and adds to a request what must be sent for it.
    fn take(&mut self, command: Command, request: &mut ProposeRequest) {
        match command {
            Command::Close => self.closing = true,
            Command::Propose(proposal, answer) => {
                request.proposals.push((*proposal).clone());
                self.undecided.insert(proposal.id.clone(), (*proposal, answer));
            }
            Command::Withdraw(id) => {
                if self.undecided.remove(&id).is_some() {
                    // A proposal of the same message need not be sent at all.
                    let before = request.proposals.len();
                    request.proposals.retain(|proposal| proposal.id != id);
                    if request.proposals.len() == before {
                        request.withdrawals.push(id.clone());
                        self.withdrawn.insert(id);
                    }
                }
            }
        }
    }

    fn hear(&mut self, message: ProposeResponse, outgoing: &mpsc::UnboundedSender<ProposeRequest>) {
        for decision in message.decisions {
            if matches!(&decision.answer, Some(Answer::Wait(wait)) if wait.queued) {
                continue; // queued; the final decision follows
            }
            let accepted = matches!(decision.answer, Some(Answer::Accept(_)));
            if self.withdrawn.remove(&decision.proposal_id) && accepted {
                // Its code will not run, and it may hold slots.
                let mut request = ProposeRequest::default();
                let cancelled = crate::task::cancelled(&decision.run_id, "no longer wanted");
                self.take(Command::Propose(Box::new(cancelled), oneshot::channel().0), &mut request);
                self.send(outgoing, request);
            } else if let Some((_, answer)) = self.undecided.remove(&decision.proposal_id) {
                // If the caller has gone, its withdrawal is the next command.
                if let Err(unheard) = answer.send(decision) {
                    self.unheard(unheard, outgoing);
                }
            }
        }
    }

    /// Ends a task run that began just when its caller gave up.
    fn unheard(&mut self, decision: Decision, outgoing: &mpsc::UnboundedSender<ProposeRequest>) {
        let running = decision.state.is_some_and(|state| state.r#type() == crate::v1::StateType::Running);
        if running && matches!(decision.answer, Some(Answer::Accept(_))) {
            let mut request = ProposeRequest::default();
            let cancelled = crate::task::cancelled(&decision.run_id, "no longer wanted");
            self.take(Command::Propose(Box::new(cancelled), oneshot::channel().0), &mut request);
            self.send(outgoing, request);
        }
    }
}

fn is_hopeless(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::ResourceExhausted
            | Code::Unauthenticated
            | Code::PermissionDenied
    )
}
