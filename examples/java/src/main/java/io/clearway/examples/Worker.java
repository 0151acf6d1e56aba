package io.clearway.examples;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import io.clearway.v1.CreateFlowRunRequest;
import io.clearway.v1.FlowRunSpec;
import io.clearway.v1.ProposedState;
import io.clearway.v1.StateType;
import io.grpc.StatusRuntimeException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Runs a flow of a few tasks. */
public final class Worker {
  private static final int INTERRUPTED = 130;
  private static final long SECONDS_TO_END = 10;
  // Calls report the same failures that it logs with stack traces. A field, because loggers are only weakly referenced.
  private static final Logger GRPC = Logger.getLogger("io.grpc");

  private final Session session;
  private final Options options;
  // A thread for each run, which also waits for its slot.
  private final ExecutorService tasks = Executors.newCachedThreadPool();
  private volatile boolean interrupted;

  private Worker(Session session, Options options) {
    this.session = session;
    this.options = options;
  }

  public static void main(String[] arguments) throws InterruptedException {
    System.setOut(new PrintStream(System.out, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(System.err, true, StandardCharsets.UTF_8));
    GRPC.setLevel(Level.SEVERE);
    int code;
    try {
      if (Arrays.asList(arguments).contains("--help")) {
        System.out.println(Options.USAGE);
        return;
      }
      if (arguments.length == 2 && arguments[0].equals("--key-of")) {
        printKey(arguments[1]);
        return;
      }
      code = run(Options.parse(arguments));
    } catch (ClearwayException.Usage wrong) {
      System.err.println(wrong.getMessage() + "\n\n" + Options.USAGE);
      code = 2;
    } catch (ClearwayException told) {
      System.err.println(told.getMessage());
      code = 1;
    } catch (StatusRuntimeException failed) {
      System.err.println("the call failed: " + failed.getMessage());
      code = 1;
    }
    // After an interrupt the JVM is shutting down already, and exit() would deadlock.
    if (code != INTERRUPTED) System.exit(code);
  }

  /** Prints the canonical text and the cache key of {@code {"task_key": ..., "arguments": {...}}}. */
  private static void printKey(String json) {
    try {
      var given = JsonParser.parseString(json).getAsJsonObject();
      var taskKey = given.get("task_key").getAsString();
      var arguments = given.getAsJsonObject("arguments");
      System.out.println(CacheKeys.canonical(taskKey, arguments));
      System.out.println(CacheKeys.inputKey(taskKey, arguments));
    } catch (JsonParseException | IllegalStateException | NullPointerException | IllegalArgumentException wrong) {
      throw new ClearwayException.Usage("--key-of needs a JSON object with task_key and arguments: " + wrong.getMessage());
    }
  }

  private static int run(Options options) throws InterruptedException {
    var name = "java-worker " + ProcessHandle.current().pid();
    try (var session = Session.open(options.address(), name)) {
      var worker = new Worker(session, options);
      var main = Thread.currentThread();
      var onInterrupt = new Thread(() -> worker.interrupt(main));
      Runtime.getRuntime().addShutdownHook(onInterrupt);
      try {
        return worker.work();
      } finally {
        worker.tasks.shutdownNow();
        if (!worker.interrupted) removeHook(onInterrupt);
      }
    }
  }

  private static void removeHook(Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException interruptedJustNow) {
      // The hook waits for this thread, which is about to end.
    }
  }

  /** Stops the tasks, and lets the main thread report that to the service before the process ends. */
  private void interrupt(Thread main) {
    interrupted = true;
    tasks.shutdownNow();
    try {
      main.join(Duration.ofSeconds(SECONDS_TO_END).toMillis());
    } catch (InterruptedException enough) {
      Thread.currentThread().interrupt();
    }
  }

  private List<Tasks.Task> flow() {
    var all = new ArrayList<Tasks.Task>();
    var delay = Duration.ofMillis(options.number("retry-delay-ms"));
    for (int number = 0; number < options.number("tasks"); number++) {
      int task = number;
      Tasks.Code code = attempt -> work(task, attempt);
      all.add(new Tasks.Task(
          "work", String.valueOf(task), options.tags(), options.number("retries"), delay, "", code));
    }
    for (int place = 0; place < options.texts().size(); place++) {
      var text = options.texts().get(place);
      var inputs = new JsonObject();
      inputs.addProperty("text", text);
      Tasks.Code code = attempt -> new JsonPrimitive(text.strip().toLowerCase(Locale.ROOT));
      all.add(new Tasks.Task("normalise", String.valueOf(place), options.tags(), 0, Duration.ZERO,
          CacheKeys.inputKey("normalise", inputs), code));
    }
    return all;
  }

  private JsonElement work(int task, int attempt) throws InterruptedException {
    Thread.sleep(options.number("milliseconds"));
    if (attempt <= options.number("fail-attempts")) {
      throw new IllegalStateException("attempt %d was told to fail".formatted(attempt));
    }
    var result = new JsonObject();
    result.addProperty("task", task);
    result.addProperty("attempt", attempt);
    if (options.number("result-bytes") > 0) result.addProperty("filling", "x".repeat(options.number("result-bytes")));
    return result;
  }

  /** Runs the flow; returns the exit code. */
  private int work() throws InterruptedException {
    var flowRunId = Tasks.newId();
    session.calls().createFlowRun(CreateFlowRunRequest.newBuilder()
        .setFlowRun(FlowRunSpec.newBuilder().setId(flowRunId).setFlowName(options.flow()).addTags("java")
            .setParametersJson(options.parametersJson()))
        .build());
    propose(flowRunId, state(StateType.STATE_TYPE_RUNNING, ""));
    System.out.println("flow run " + flowRunId);

    // All are proposed at once; those without a free slot wait in the server's queue.
    var futures = new ArrayList<Future<Tasks.Outcome>>();
    session.ended().whenComplete((none, lost) -> tasks.shutdownNow());
    try {
      for (var task : flow()) futures.add(tasks.submit(() -> outcome(flowRunId, task)));
    } catch (RejectedExecutionException stopped) {
      // Interrupted, or the session was lost; the tasks that were submitted are reported below.
    }
    int well = 0;
    var failures = new ArrayList<String>();
    for (var future : futures) {
      try {
        if (future.get() instanceof Tasks.Failed failed) {
          failures.add(failed.task().name() + " failed: " + Tasks.told(failed.error()));
        } else {
          well++;
        }
      } catch (ExecutionException stopped) {
        failures.add(String.valueOf(stopped.getCause().getMessage()));
      }
    }
    if (session.ended().isDone()) Waiting.get(session.ended());
    System.out.printf(
        "%d ended well, %d did not; resumed %d times%n", well, failures.size(), session.resumed());
    if (interrupted) {
      propose(flowRunId, state(StateType.STATE_TYPE_CANCELLED, "interrupted"));
      return INTERRUPTED;
    }
    if (failures.isEmpty()) {
      propose(flowRunId, state(StateType.STATE_TYPE_COMPLETED, ""));
      return 0;
    }
    var message = "%d of %d runs did not end well".formatted(failures.size(), futures.size());
    var error = Results.portable(new ClearwayException(failures.get(0)));
    propose(flowRunId, Tasks.failure(error, message));
    System.err.println(message + ": " + failures.get(0));
    return 1;
  }

  private Tasks.Outcome outcome(String flowRunId, Tasks.Task task) throws InterruptedException {
    var outcome = Tasks.run(session, flowRunId, task);
    if (outcome instanceof Tasks.Ended ended) {
      System.out.println("%s %s %s".formatted(task.name(), ended.state(), ended.result()));
    }
    return outcome;
  }

  private void propose(String flowRunId, ProposedState state) throws InterruptedException {
    Tasks.decide(session, Tasks.proposal().setFlowRunId(flowRunId).setState(state).build());
  }

  private static ProposedState state(StateType type, String message) {
    return ProposedState.newBuilder().setType(type).setMessage(message).build();
  }
}
