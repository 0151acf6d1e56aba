import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { uuidv7 } from "uuidv7";

import { ErrorReason } from "../gen/clearway/v1/error_pb.js";
import { type Decision, type Proposal, ProposalSchema, RejectReason } from "../gen/clearway/v1/proposal_pb.js";
import { type Data, DataSchema, type ProposedStateSchema, RunErrorKind, StateType } from "../gen/clearway/v1/state_pb.js";
import type { Json } from "./cache_key.js";
import { AbortedError, ClearwayError, portable, TaskFailedError } from "./errors.js";
import type { Session } from "./session.js";

const MAX_INLINE_BYTES = 65_536;
const PASSING = new Set([ErrorReason.STORE_UNAVAILABLE, ErrorReason.SHUTTING_DOWN]);
const PAUSE_MS = 1_000;

/** One run of a task, and its code. */
export interface Task<Result extends Json> {
  /** Identifies the task: the same for all its runs. */
  key: string;
  /** Distinguishes the runs of one task in one flow run. */
  dynamicKey: string;
  tags?: string[];
  retries?: number;
  retryDelaysMs?: number[];
  /** The key that other runs, in any language, find the result by; see `inputKey`. */
  cacheKey?: string;
  /** Runs the task's code; `signal` is aborted when it must stop. `attempt` counts from 1. */
  run(signal: AbortSignal, attempt: number): Promise<Result>;
}

/** The outcome of a run that completed. */
export interface Outcome<Result extends Json> {
  result: Result;
  /** The name of its last state: `Completed`, or `Cached` if its code was not run. */
  state: string;
  /** How often its code was run. */
  attempts: number;
}

/**
 * Runs a task in a flow run as the service decides: waits for slots, takes the result from the cache, retries after a
 * failure.
 *
 * @throws TaskFailedError the task failed and has no retry left; its cause is what the code threw.
 * @throws AbortedError the run must not continue.
 */
export async function runTask<Result extends Json>(
  session: Session,
  flowRunId: string,
  task: Task<Result>,
  signal: AbortSignal,
): Promise<Outcome<Result>> {
  const { key: taskKey, dynamicKey, tags = [], retries = 0, retryDelaysMs = [], cacheKey = "" } = task;
  const retryPolicy = { maxAttempts: retries + 1, delays: retryDelaysMs.map((ms) => durationFromMs(ms)) };
  const spec = { id: uuidv7(), flowRunId, taskKey, dynamicKey, tags, retryPolicy };
  const running = AbortSignal.any([signal, session.ended]);
  for (let attempt = 1; ; attempt++) {
    const begun = await enter(session, spec, { type: StateType.RUNNING, cacheKey }, signal);
    if (begun.answer.case === "reject") {
      if (begun.answer.value.reason !== RejectReason.CACHED || !begun.state) throw unexpected(begun);
      return { result: read(begun.state.data) as Result, state: begun.state.name, attempts: attempt - 1 };
    }
    const run = { case: "taskRunId", value: begun.runId } as const;
    const propose = (state: MessageInitShape<typeof ProposedStateSchema>) => decide(session, { run, state });
    let kind = RunErrorKind.APPLICATION;
    let data: Data;
    try {
      const result = await task.run(running, attempt);
      kind = RunErrorKind.RESULT;
      data = write(result);
    } catch (thrown) {
      if (running.aborted) {
        if (!session.ended.aborted) await propose({ type: StateType.CANCELLED, message: "interrupted" });
        throw running.reason;
      }
      const error = portable(thrown, kind);
      const message = `${error.type}: ${error.message}`;
      const failed = await propose({ type: StateType.FAILED, message, data: { error } });
      if (failed.answer.case === "accept") {
        throw new TaskFailedError(`${taskKey}-${dynamicKey} failed: ${message}`, { cause: thrown });
      }
      await sleep(retryDelayMs(failed), undefined, { signal: running });
      continue;
    }
    const ended = await propose({ type: StateType.COMPLETED, data, cacheKey });
    if (ended.answer.case !== "accept" || !ended.state) throw unexpected(ended);
    return { result: read(ended.state.data) as Result, state: ended.state.name, attempts: attempt };
  }
}

/** Returns the delay before a scheduled retry. Both times are the service's, so the clocks need not agree. */
function retryDelayMs(decision: Decision): number {
  const { answer, state } = decision;
  const scheduled = state?.details?.scheduledTime;
  const isRetry = answer.case === "reject" && answer.value.reason === RejectReason.RETRY_SCHEDULED;
  if (!isRetry || !state?.createTime || !scheduled) throw unexpected(decision);
  return Math.max(0, timestampMs(scheduled) - timestampMs(state.createTime));
}

type Spec = NonNullable<MessageInitShape<typeof ProposalSchema>["createTaskRun"]>;

/** Proposes Running until its time has come; returns an accept or a reject. */
async function enter(
  session: Session,
  createTaskRun: Spec,
  state: MessageInitShape<typeof ProposedStateSchema>,
  signal: AbortSignal,
): Promise<Decision> {
  for (;;) {
    const decision = await decide(session, { createTaskRun, state }, signal);
    if (decision.answer.case !== "wait") return decision;
    const { retryAfter } = decision.answer.value;
    await sleep(retryAfter ? durationMs(retryAfter) : 0, undefined, { signal });
  }
}

/**
 * Proposes a state under a new id, and returns the final decision: an accept, a reject, or a wait with a delay.
 *
 * @throws AbortedError the run must not continue.
 * @throws ClearwayError the proposal was invalid, or this client does not know the answer.
 */
export async function decide(
  session: Session,
  proposal: Omit<MessageInitShape<typeof ProposalSchema>, "$typeName" | "id">,
  signal?: AbortSignal,
): Promise<Decision> {
  const sent: Proposal = create(ProposalSchema, { ...proposal, id: uuidv7() });
  for (;;) {
    const decision = await session.propose(sent, signal);
    const { answer } = decision;
    switch (answer.case) {
      case "accept":
      case "reject":
      case "wait":
        return decision;
      case "abort":
        throw new AbortedError(`the run must not go on: ${answer.value.message}`);
      case "error":
        if (PASSING.has(answer.value.reason)) {
          await sleep(PAUSE_MS, undefined, { signal });
          break;
        }
        throw new ClearwayError(`the proposal was not taken: ${answer.value.field} ${answer.value.message}`);
      default:
        throw unexpected(decision);
    }
  }
}

function unexpected(decision: Decision): ClearwayError {
  const state = decision.state === undefined ? "no state" : StateType[decision.state.type];
  return new ClearwayError(`this client does not know what to do after ${decision.answer.case ?? "an unknown answer"} with ${state}`);
}

function write(result: Json) {
  const inline = new TextEncoder().encode(JSON.stringify(result));
  if (inline.length > MAX_INLINE_BYTES) {
    throw new RangeError(`the result has ${inline.length} bytes; this client keeps at most ${MAX_INLINE_BYTES}`);
  }
  const sha256 = createHash("sha256").update(inline).digest("hex");
  return create(DataSchema, {
    encoding: "json",
    body: { case: "inline", value: inline },
    sizeBytes: BigInt(inline.length),
    sha256,
  });
}

/** Returns a result that another client may have written. */
function read(data: Data | undefined): Json {
  if (data?.body.case === "location") {
    throw new ClearwayError(`the result is kept at ${data.body.value}; this client reads only what is in the state`);
  }
  if (data?.encoding !== "json" || data.body.case !== "inline") {
    throw new ClearwayError(`the result is encoded as '${data?.encoding ?? ""}'; this client reads only 'json'`);
  }
  if (data.compression !== "" && data.compression !== "gzip") {
    throw new ClearwayError(`the result is compressed by '${data.compression}'; this client knows only 'gzip'`);
  }
  const bytes = data.compression === "gzip" ? gunzipSync(data.body.value) : data.body.value;
  return JSON.parse(new TextDecoder().decode(bytes)) as Json;
}
