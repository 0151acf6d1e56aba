import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { uuidv7 } from "uuidv7";

import { StateType } from "../gen/clearway/v1/state_pb.js";
import { inputKey, type Json } from "./cache_key.js";
import { ClearwayError, portable } from "./errors.js";
import { Session } from "./session.js";
import { decide, runTask, type Task } from "./task.js";

const USAGE = `usage: worker --address HOST:PORT [options]

  --flow NAME            the flow's name (default: typescript-worker)
  --tag TAG              a tag of its tasks; may be given several times
  --tasks N              how many runs of the task 'work' (default: 3; at most 10000)
  --milliseconds M       how long each takes (default: 10)
  --retries N            how often a failed run is tried again (default: 2)
  --retry-delay-ms M     how long it waits before that (default: 100)
  --fail-attempts N      lets the first N attempts of each run fail (default: 0)
  --result-bytes N       fills each result up to about this size (default: 0; at most 65000)
  --normalise TEXT       runs the cached task 'normalise' on a text, too; may be given several times
  --help                 shows this`;

interface Options {
  address: string;
  flow: string;
  tags: string[];
  tasks: number;
  milliseconds: number;
  retries: number;
  retryDelayMs: number;
  failAttempts: number;
  resultBytes: number;
  texts: string[];
}

/** Something is wrong with the command line. */
class UsageError extends ClearwayError {}

function parse(args: string[]): Options {
  const text = { type: "string" } as const;
  const texts = { type: "string", multiple: true } as const;
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        address: text,
        flow: text,
        tag: texts,
        tasks: text,
        milliseconds: text,
        retries: text,
        "retry-delay-ms": text,
        "fail-attempts": text,
        "result-bytes": text,
        normalise: texts,
        help: { type: "boolean" },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const whole = (name: string, given: string | undefined, otherwise: number, most: number) => {
    const number = given === undefined ? otherwise : /^[0-9]+$/.test(given) ? Number(given) : NaN;
    if (number >= 0 && number <= most) return number;
    throw new UsageError(`--${name} is '${given}'; it must be a whole number from 0 to ${most}`);
  };
  if (values.address === undefined) throw new UsageError("--address is missing; it must be HOST:PORT");
  if (!/^.+:[0-9]{1,5}$/.test(values.address)) {
    throw new UsageError(`--address is '${values.address}'; it must be HOST:PORT`);
  }
  return {
    address: values.address,
    flow: values.flow ?? "typescript-worker",
    tags: values.tag ?? [],
    tasks: whole("tasks", values.tasks, 3, 10_000),
    milliseconds: whole("milliseconds", values.milliseconds, 10, 3_600_000),
    retries: whole("retries", values.retries, 2, 10_000),
    retryDelayMs: whole("retry-delay-ms", values["retry-delay-ms"], 100, 3_600_000),
    failAttempts: whole("fail-attempts", values["fail-attempts"], 0, 10_000),
    resultBytes: whole("result-bytes", values["result-bytes"], 0, 65_000),
    texts: values.normalise ?? [],
  };
}

/** Yields the runs of the flow's tasks. */
function* tasksOf(options: Options): Generator<Task<Json>> {
  const { tags, milliseconds, retries, retryDelayMs, failAttempts, resultBytes } = options;
  for (let task = 0; task < options.tasks; task++) {
    const retryDelaysMs = [retryDelayMs];
    const run = async (signal: AbortSignal, attempt: number) => {
      await sleep(milliseconds, undefined, { signal });
      if (attempt <= failAttempts) throw new Error(`attempt ${attempt} was told to fail`);
      return { task, attempt, ...(resultBytes > 0 && { filling: "x".repeat(resultBytes) }) };
    };
    yield { key: "work", dynamicKey: String(task), tags, retries, retryDelaysMs, run };
  }
  for (const [place, text] of options.texts.entries()) {
    const run = async () => text.trim().toLowerCase();
    yield { key: "normalise", dynamicKey: String(place), tags, cacheKey: inputKey("normalise", { text }), run };
  }
}

/** Runs the flow; returns the exit code. */
async function work(session: Session, options: Options, signal: AbortSignal): Promise<number> {
  const flowRunId = uuidv7();
  const { flow, address: _, ...parameters } = options;
  const flowRun = { id: flowRunId, flowName: flow, tags: ["typescript"], parametersJson: JSON.stringify(parameters) };
  await session.client.createFlowRun({ flowRun });
  const run = { case: "flowRunId", value: flowRunId } as const;
  await decide(session, { run, state: { type: StateType.RUNNING } });
  console.log(`flow run ${flowRunId}`);

  // All are proposed at once; those without a free slot wait in the server's queue.
  const outcomes = await Promise.allSettled(
    [...tasksOf(options)].map(async (task) => {
      const outcome = await runTask(session, flowRunId, task, signal);
      console.log(`${task.key}-${task.dynamicKey} ${outcome.state} ${JSON.stringify(outcome.result)}`);
      return outcome;
    }),
  );
  const failures = outcomes.filter((each) => each.status === "rejected").map((each) => each.reason as unknown);
  session.ended.throwIfAborted();
  console.log(`${outcomes.length - failures.length} ended well, ${failures.length} did not; resumed ${session.resumed} times`);
  if (signal.aborted) {
    await decide(session, { run, state: { type: StateType.CANCELLED, message: "interrupted" } });
    return 130;
  }
  const [first] = failures;
  if (first === undefined) {
    await decide(session, { run, state: { type: StateType.COMPLETED } });
    return 0;
  }
  const error = portable(first);
  const message = `${failures.length} of ${outcomes.length} runs did not end well`;
  await decide(session, { run, state: { type: StateType.FAILED, message, data: { error } } });
  console.error(`${message}: ${error.message}`);
  return 1;
}

async function main(): Promise<number> {
  const options = parse(process.argv.slice(2));
  const interrupted = new AbortController();
  setMaxListeners(0, interrupted.signal); // each waiting proposal listens; Node warns from the 11th on
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => interrupted.abort(new ClearwayError(`interrupted by ${name}`)));
  }
  const session = await Session.open(options.address, `typescript-worker ${hostname()} ${process.pid}`);
  try {
    return await work(session, options, interrupted.signal);
  } finally {
    await session.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof ClearwayError)) throw error;
  console.error(error instanceof UsageError ? `${error.message}\n\n${USAGE}` : error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
