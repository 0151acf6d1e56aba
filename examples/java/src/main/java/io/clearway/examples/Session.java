package io.clearway.examples;

import com.google.protobuf.util.Durations;
import io.clearway.v1.Decision;
import io.clearway.v1.ErrorReason;
import io.clearway.v1.GetServerInfoRequest;
import io.clearway.v1.Hello;
import io.clearway.v1.OrchestratorGrpc;
import io.clearway.v1.Proposal;
import io.clearway.v1.ProposeRequest;
import io.clearway.v1.ProposeResponse;
import io.clearway.v1.ProposedState;
import io.clearway.v1.StateType;
import io.clearway.v1.Welcome;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 * A session with the service, over a stream that is opened again when it breaks.
 *
 * <p>Runs that enter Running through it belong to it: when it ends, those that are still Running become Crashed, and
 * their slots are released. A thread of its own renews the lease, so the tasks' code may block. Thread-safe.
 */
final class Session implements AutoCloseable {
  private static final Set<Status.Code> HOPELESS = EnumSet.of(
      Status.Code.INVALID_ARGUMENT, Status.Code.FAILED_PRECONDITION, Status.Code.UNIMPLEMENTED,
      Status.Code.RESOURCE_EXHAUSTED, Status.Code.UNAUTHENTICATED, Status.Code.PERMISSION_DENIED);
  private static final long LEASE_BEFORE_WELCOME_MS = 30_000;
  private static final long LONGEST_PAUSE_MS = 2_000;

  private record Undecided(Proposal proposal, CompletableFuture<Decision> decision) {}

  private final String clientName;
  private final ManagedChannel channel;
  private final OrchestratorGrpc.OrchestratorBlockingStub calls;
  private final CompletableFuture<Void> opened = new CompletableFuture<>();
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor(task -> {
    var thread = new Thread(task, "clearway-session");
    thread.setDaemon(true);
    return thread;
  });

  // All fields below are guarded by this. Proposals without a final decision are sent again, with the same ids, on each
  // new stream.
  private final Map<String, Undecided> undecided = new LinkedHashMap<>();
  private final Deque<Proposal> outbox = new ArrayDeque<>();
  // Withdrawn proposals, which may have been decided nevertheless.
  private final Set<String> withdrawn = new HashSet<>();
  private Stream stream;
  private Welcome welcome = Welcome.getDefaultInstance();
  private int resumed;
  private int failures;
  private boolean closing;

  private Session(ManagedChannel channel, String clientName) {
    this.channel = channel;
    this.calls = OrchestratorGrpc.newBlockingStub(channel);
    this.clientName = clientName;
  }

  /**
   * Opens a session.
   *
   * @param address the server's {@code host:port}.
   * @param clientName who the client is, for people.
   */
  static Session open(String address, String clientName) throws InterruptedException {
    // The path of a URI may not have the brackets of an IPv6 address.
    var target = "dns:///" + address.replace("[", "%5B").replace("]", "%5D");
    var channel = ManagedChannelBuilder.forTarget(target).usePlaintext().build();
    try {
      OrchestratorGrpc.newBlockingStub(channel)
          .withDeadlineAfter(10, TimeUnit.SECONDS)
          .getServerInfo(GetServerInfoRequest.getDefaultInstance());
    } catch (StatusRuntimeException failure) {
      channel.shutdownNow();
      throw new ClearwayException("no Clearway server answers at %s: %s".formatted(address, told(failure)));
    }
    var session = new Session(channel, clientName);
    session.connect();
    Waiting.get(session.opened);
    return session;
  }

  /** Unary calls. */
  OrchestratorGrpc.OrchestratorBlockingStub calls() {
    return calls;
  }

  /** Completes exceptionally when the session is lost, and normally when it is closed. */
  CompletableFuture<Void> ended() {
    return ended;
  }

  /** How often the stream was opened again. */
  synchronized int resumed() {
    return resumed;
  }

  /** Proposes a state; the future completes with the final decision, after any wait in the server's queue. */
  synchronized CompletableFuture<Decision> propose(Proposal proposal) {
    var decision = new CompletableFuture<Decision>();
    if (ended.isDone()) {
      ended.whenComplete((none, lost) -> decision.completeExceptionally(
          lost != null ? lost : new ClearwayException("the session is closed")));
      return decision;
    }
    // In the table before it is sent, because the stream may break in between.
    undecided.put(proposal.getId(), new Undecided(proposal, decision));
    if (stream.welcomed) {
      outbox.add(proposal);
      stream.flush();
    }
    return decision;
  }

  /** Withdraws a proposal. If it was accepted just before, its run is Cancelled when the decision arrives. */
  synchronized void withdraw(Proposal proposal) {
    if (undecided.remove(proposal.getId()) == null) return;
    withdrawn.add(proposal.getId());
    if (!outbox.remove(proposal) && stream.welcomed) {
      stream.send(ProposeRequest.newBuilder().addWithdrawals(proposal.getId()).build());
    }
    notifyAll();
  }

  /** Waits until everything is decided, then says goodbye. Runs that are still Running become Crashed. */
  @Override
  public void close() throws InterruptedException {
    synchronized (this) {
      while (!undecided.isEmpty() && !ended.isDone()) wait();
      closing = true;
      if (!ended.isDone()) {
        if (stream.welcomed) stream.goodbye();
        else end(null);
      }
    }
    try {
      ended.handle((none, lost) -> none).join();
    } finally {
      clock.shutdownNow();
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private synchronized void connect() {
    if (ended.isDone()) return;
    channel.resetConnectBackoff();
    stream = new Stream();
    outbox.clear();
    OrchestratorGrpc.newStub(channel).propose(stream);
    var hello = Hello.newBuilder().setClientName(clientName).setLanguage("java").setVersion("1")
        .setResumeSessionId(welcome.getSessionId());
    stream.send(ProposeRequest.newBuilder().setHello(hello).build());
    stream.keepAlive(LEASE_BEFORE_WELCOME_MS);
  }

  private synchronized void lost(Stream which, Throwable failure) {
    which.pinging.cancel(false);
    which.welcomed = false;
    if (which != stream || ended.isDone()) return;
    if (closing) {
      // Even if the goodbye did not arrive: the session ends after its grace.
      end(null);
    } else if (failure != null && ClearwayException.reasonOf(failure) == ErrorReason.ERROR_REASON_SESSION_EXPIRED) {
      end(new ClearwayException("the session has expired, so its runs are Crashed: " + told(failure)));
    } else if (failure != null && HOPELESS.contains(Status.fromThrowable(failure).getCode())) {
      end(new ClearwayException("the server ended the stream: " + told(failure)));
    } else {
      long pause = Math.min(50L << Math.min(failures++, 10), LONGEST_PAUSE_MS);
      clock.schedule(this::connect, ThreadLocalRandom.current().nextLong(pause / 2, pause), TimeUnit.MILLISECONDS);
    }
  }

  private synchronized void end(ClearwayException reason) {
    var orphans = List.copyOf(undecided.values());
    undecided.clear();
    if (reason == null) ended.complete(null);
    else ended.completeExceptionally(reason);
    if (reason == null) opened.complete(null);
    else opened.completeExceptionally(reason);
    var told = reason != null ? reason : new ClearwayException("the session is closed");
    orphans.forEach(orphan -> orphan.decision().completeExceptionally(told));
    notifyAll();
  }

  private synchronized void heard(Stream which, ProposeResponse message) {
    if (which != stream) return;
    which.heard = System.nanoTime();
    failures = 0;
    if (message.hasWelcome()) {
      if (!welcome.getSessionId().isEmpty()) resumed++;
      welcome = message.getWelcome();
      which.welcomed = true;
      which.keepAlive(Durations.toMillis(welcome.getLease()));
      undecided.values().forEach(each -> outbox.add(each.proposal()));
      which.flush();
      opened.complete(null);
    }
    message.getDecisionsList().forEach(this::decided);
    notifyAll();
  }

  private void decided(Decision decision) {
    if (decision.hasWait() && decision.getWait().getQueued()) return; // queued; the final decision follows
    var known = undecided.remove(decision.getProposalId());
    if (known != null) known.decision().complete(decision);
    if (withdrawn.remove(decision.getProposalId()) && decision.hasAccept() && !closing) {
      // Its code will not run, and it may hold slots.
      var state = ProposedState.newBuilder().setType(StateType.STATE_TYPE_CANCELLED).setMessage("no longer wanted");
      propose(Tasks.proposal().setTaskRunId(decision.getRunId()).setState(state).build());
    }
  }

  private static String told(Throwable failure) {
    var status = Status.fromThrowable(failure);
    return status.getDescription() == null ? status.getCode().toString() : status.getDescription();
  }

  /** One stream of the session; all fields are guarded by the session. */
  private final class Stream implements ClientResponseObserver<ProposeRequest, ProposeResponse> {
    private ClientCallStreamObserver<ProposeRequest> requests;
    private ScheduledFuture<?> pinging;
    private boolean welcomed;
    private boolean finished;
    private long heard = System.nanoTime();
    private long pings;

    @Override
    public void beforeStart(ClientCallStreamObserver<ProposeRequest> stream) {
      requests = stream;
      requests.setOnReadyHandler(this::flush);
    }

    void send(ProposeRequest message) {
      if (!finished) requests.onNext(message);
    }

    /** Sends what is pending, as much in a message as the server allows, until HTTP/2 flow control stops it. */
    void flush() {
      synchronized (Session.this) {
        while (welcomed && !outbox.isEmpty() && requests.isReady()) {
          var message = ProposeRequest.newBuilder();
          // Half of a message is left for the overhead.
          long room = welcome.getMaxMessageBytes() / 2;
          do {
            room -= outbox.peek().getSerializedSize();
            message.addProposals(outbox.poll());
          } while (!outbox.isEmpty() && message.getProposalsCount() < welcome.getMaxProposals()
              && outbox.peek().getSerializedSize() <= room);
          send(message.build());
        }
      }
    }

    void goodbye() {
      send(ProposeRequest.newBuilder().setGoodbye(true).build());
      finished = true;
      requests.onCompleted();
    }

    void keepAlive(long leaseMs) {
      if (pinging != null) pinging.cancel(false);
      pinging = clock.scheduleAtFixedRate(() -> ping(leaseMs), leaseMs / 3, leaseMs / 3, TimeUnit.MILLISECONDS);
    }

    private void ping(long leaseMs) {
      synchronized (Session.this) {
        if (System.nanoTime() - heard > TimeUnit.MILLISECONDS.toNanos(leaseMs)) {
          finished = true;
          requests.cancel("nothing came for a whole lease", null);
        } else {
          send(ProposeRequest.newBuilder().setPing(++pings).build());
        }
      }
    }

    @Override
    public void onNext(ProposeResponse message) {
      heard(this, message);
    }

    @Override
    public void onError(Throwable failure) {
      finished = true;
      lost(this, failure);
    }

    @Override
    public void onCompleted() {
      finished = true;
      lost(this, null);
    }
  }
}
