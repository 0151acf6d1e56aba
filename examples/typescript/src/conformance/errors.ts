import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import type { JsonObject } from "./reading.js";

/** The service did not do what the scenario says. */
export class NotConformingError extends Error {}

/** Returns how a call failed, as scenarios write it; undefined means that it succeeded. */
export function facts(error: ConnectError | undefined): JsonObject {
  if (error === undefined) return { code: "OK" };
  const violations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: codeName(error.code),
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    fields: violations.map((each) => each.field),
    message: error.rawMessage,
    retrySeconds: delay === undefined ? null : durationMs(delay) / 1_000,
  };
}

/** gRPC spells it `CANCELLED`, Connect `Canceled`. */
function codeName(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED";
  return (Code[code] ?? "").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
