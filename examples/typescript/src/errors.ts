import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { ErrorReason, ErrorReasonSchema } from "../gen/clearway/v1/error_pb.js";
import { type RunError, RunErrorKind, RunErrorSchema } from "../gen/clearway/v1/state_pb.js";

const MAX_MESSAGE = 4_096;
const MAX_STACK = 16_384;
const MAX_DEPTH = 8;

/** An error that the user can fix; it is shown without a stack trace. */
export class ClearwayError extends Error {
  override name = "ClearwayError";
}

/** The session has expired: its runs are Crashed, and other runs may have their slots. */
export class SessionExpiredError extends ClearwayError {
  override name = "SessionExpiredError";
}

/** The service aborted a proposal: the run's code must not continue. */
export class AbortedError extends ClearwayError {
  override name = "AbortedError";
}

/** A task failed and has no retry left. */
export class TaskFailedError extends ClearwayError {
  override name = "TaskFailedError";
}

/** Returns the reason of a failed call: unspecified if it has none, or one that this client does not know. */
export function reasonOf(error: ConnectError): ErrorReason {
  const info = error.findDetails(ErrorInfoSchema).find((each) => each.domain === "clearway");
  return ErrorReasonSchema.values.find((each) => each.name === info?.reason)?.number ?? ErrorReason.UNSPECIFIED;
}

const HOPELESS = new Set([
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.Unimplemented,
  Code.ResourceExhausted,
  Code.Unauthenticated,
  Code.PermissionDenied,
]);

/** Returns whether a stream that ended with this error can be opened again. */
export function isPassing(error: ConnectError): boolean {
  return !HOPELESS.has(error.code);
}

/** Returns what was thrown in a form that every language can show, within the limits of the protocol. */
export function portable(thrown: unknown, kind = RunErrorKind.APPLICATION, depth = 1): RunError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  return create(RunErrorSchema, {
    kind,
    type: (error.name || "Error").slice(0, 255),
    message: error.message.slice(0, MAX_MESSAGE),
    stackTrace: innermostLast(error.stack ?? "").slice(-MAX_STACK),
    ...(error.cause !== undefined && depth < MAX_DEPTH && { cause: portable(error.cause, undefined, depth + 1) }),
  });
}

/** The protocol has the innermost frame last, as Python does; V8 writes it first. */
function innermostLast(stack: string): string {
  const frames = stack.split("\n").filter((line) => line.startsWith("    at "));
  return frames.reverse().join("\n");
}
