package io.clearway.examples;

import com.github.f4b6a3.uuid.UuidCreator;
import com.google.gson.JsonElement;
import com.google.protobuf.util.Durations;
import com.google.protobuf.util.Timestamps;
import io.clearway.v1.Data;
import io.clearway.v1.Decision;
import io.clearway.v1.ErrorReason;
import io.clearway.v1.Proposal;
import io.clearway.v1.ProposedState;
import io.clearway.v1.RejectReason;
import io.clearway.v1.RetryPolicy;
import io.clearway.v1.RunError;
import io.clearway.v1.RunErrorKind;
import io.clearway.v1.State;
import io.clearway.v1.StateType;
import io.clearway.v1.TaskRunSpec;
import java.time.Duration;
import java.util.List;

/** Runs tasks as the service decides. */
final class Tasks {
  private static final long PAUSE_MS = 1_000;

  private Tasks() {}

  /** A task's code. {@code attempt} counts from 1; an interrupt of its thread tells it to stop. */
  @FunctionalInterface
  interface Code {
    JsonElement run(int attempt) throws Exception;
  }

  /**
   * One run of a task.
   *
   * @param key identifies the task: the same for all its runs.
   * @param dynamicKey distinguishes the runs of one task in one flow run.
   * @param cacheKey the key that other runs, in any language, find the result by; empty disables the cache.
   */
  record Task(
      String key, String dynamicKey, List<String> tags, int retries, Duration retryDelay, String cacheKey, Code code) {
    String name() {
      return key + "-" + dynamicKey;
    }
  }

  /** How a run ended. */
  sealed interface Outcome permits Ended, Failed {}

  /** Completed. {@code state} is {@code Completed}, or {@code Cached} if its code was not run. */
  record Ended(JsonElement result, String state) implements Outcome {}

  /** Failed, and has no retry left. */
  record Failed(Task task, RunError error) implements Outcome {}

  /**
   * Runs a task in a flow run as the service decides: waits for slots, takes the result from the cache, retries after a
   * failure.
   *
   * @throws ClearwayException the run must not continue, or the session is lost.
   * @throws InterruptedException the thread was interrupted; the run is Cancelled if it was Running.
   */
  static Outcome run(Session session, String flowRunId, Task task) throws InterruptedException {
    var delay = Durations.fromMillis(task.retryDelay().toMillis());
    var policy = RetryPolicy.newBuilder().setMaxAttempts(task.retries() + 1).addDelays(delay);
    var spec = TaskRunSpec.newBuilder()
        .setId(newId()).setFlowRunId(flowRunId).setTaskKey(task.key()).setDynamicKey(task.dynamicKey())
        .addAllTags(task.tags()).setRetryPolicy(policy).build();
    for (int attempt = 1; ; attempt++) {
      var begun = enter(session, spec, ProposedState.newBuilder()
          .setType(StateType.STATE_TYPE_RUNNING).setCacheKey(task.cacheKey()).build());
      if (begun.hasReject()) {
        if (begun.getReject().getReason() != RejectReason.REJECT_REASON_CACHED) throw unexpected(begun);
        return new Ended(Results.read(begun.getState().getData()), begun.getState().getName());
      }
      var runId = begun.getRunId();
      var kind = RunErrorKind.RUN_ERROR_KIND_APPLICATION;
      Data data;
      try {
        var result = task.code().run(attempt);
        kind = RunErrorKind.RUN_ERROR_KIND_RESULT;
        data = Results.write(result);
      } catch (InterruptedException interrupted) {
        cancel(session, runId);
        throw interrupted;
      } catch (Exception | Error thrown) { // an endless recursion is the run's failure too, not the worker's
        var error = Results.portable(thrown).toBuilder().setKind(kind).build();
        var failed = decide(session, proposal().setTaskRunId(runId).setState(failure(error, told(error))).build());
        if (failed.hasAccept()) return new Failed(task, error);
        if (failed.getReject().getReason() != RejectReason.REJECT_REASON_RETRY_SCHEDULED) throw unexpected(failed);
        Thread.sleep(retryDelay(failed.getState()));
        continue;
      }
      var completed = ProposedState.newBuilder()
          .setType(StateType.STATE_TYPE_COMPLETED).setCacheKey(task.cacheKey()).setData(data);
      var ended = decide(session, proposal().setTaskRunId(runId).setState(completed).build());
      if (!ended.hasAccept()) throw unexpected(ended);
      return new Ended(Results.read(data), ended.getState().getName());
    }
  }

  /** Proposes Running until its time has come; returns an accept or a reject. */
  private static Decision enter(Session session, TaskRunSpec spec, ProposedState state) throws InterruptedException {
    while (true) {
      var decision = decide(session, proposal().setCreateTaskRun(spec).setState(state).build());
      if (!decision.hasWait()) return decision;
      Thread.sleep(Durations.toMillis(decision.getWait().getRetryAfter()));
    }
  }

  /**
   * Returns the final decision about a proposal: an accept, a reject, or a wait with a delay.
   *
   * @throws ClearwayException the run must not continue, the proposal was invalid, or the session is lost.
   * @throws InterruptedException the thread was interrupted; the proposal is withdrawn.
   */
  static Decision decide(Session session, Proposal proposal) throws InterruptedException {
    while (true) {
      Decision decision;
      try {
        decision = Waiting.get(session.propose(proposal));
      } catch (InterruptedException interrupted) {
        session.withdraw(proposal);
        throw interrupted;
      }
      switch (decision.getAnswerCase()) {
        case ACCEPT, REJECT, WAIT -> {
          return decision;
        }
        case ABORT -> throw new ClearwayException.Aborted(
            "the run must not go on: " + decision.getAbort().getMessage());
        case ERROR -> {
          var error = decision.getError();
          if (error.getReason() != ErrorReason.ERROR_REASON_STORE_UNAVAILABLE
              && error.getReason() != ErrorReason.ERROR_REASON_SHUTTING_DOWN) {
            throw new ClearwayException(
                "the proposal was not taken: %s %s".formatted(error.getField(), error.getMessage()));
          }
          Thread.sleep(PAUSE_MS);
        }
        default -> throw unexpected(decision);
      }
    }
  }

  /** Returns the milliseconds before a retry. Both times are the service's, so the clocks need not agree. */
  private static long retryDelay(State scheduled) {
    return Durations.toMillis(
        Timestamps.between(scheduled.getCreateTime(), scheduled.getDetails().getScheduledTime()));
  }

  /** Returns a Failed state that all languages can show. */
  static ProposedState failure(RunError error, String message) {
    var data = Data.newBuilder().setError(error);
    return ProposedState.newBuilder().setType(StateType.STATE_TYPE_FAILED).setMessage(message).setData(data).build();
  }

  /** Returns a failure as one line. */
  static String told(RunError error) {
    return error.getType() + ": " + error.getMessage();
  }

  /** Returns a proposal with a new id. */
  static Proposal.Builder proposal() {
    return Proposal.newBuilder().setId(newId());
  }

  /** Returns a new id, greater than all earlier ones. */
  static String newId() {
    return UuidCreator.getTimeOrderedEpoch().toString();
  }

  private static void cancel(Session session, String runId) {
    var state = ProposedState.newBuilder().setType(StateType.STATE_TYPE_CANCELLED).setMessage("interrupted");
    // Closing the session waits for the decision.
    session.propose(proposal().setTaskRunId(runId).setState(state).build());
  }

  private static ClearwayException unexpected(Decision decision) {
    return new ClearwayException("this client does not know what to do after %s with %s"
        .formatted(decision.getAnswerCase(), decision.getState().getType()));
  }
}
