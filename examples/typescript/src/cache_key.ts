import { createHash } from "node:crypto";

import canonicalize from "canonicalize";

/** A value that JSON can represent. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * Returns the cache key that all languages make from the same inputs, as docs/cache-keys.md defines: the SHA-256 of
 * an object as canonical JSON (RFC 8785). In Python it is `clearway.hashing.input_key`.
 *
 * @param taskKey the task's key, the same in all languages that share the result.
 * @param inputs the task's arguments by name; whole numbers must be within ±(2^53 − 1).
 * @param functionDigest empty if languages share the key, because their sources differ.
 */
export function inputKey(taskKey: string, inputs: { [name: string]: Json }, functionDigest = ""): string {
  return createHash("sha256").update(canonical(taskKey, inputs, functionDigest)).digest("hex");
}

/** Returns the text that `inputKey` hashes. */
export function canonical(taskKey: string, inputs: { [name: string]: Json }, functionDigest = ""): string {
  const value = { arguments: shared(inputs), function: functionDigest, task_key: taskKey };
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("a cache key is made of what JSON holds");
  return text;
}

/** Returns a value in the form that it has in keys; see the table in docs/cache-keys.md. */
function shared(value: Json): Json {
  if (typeof value === "number") {
    if (Number.isNaN(value)) return { $float: "nan" };
    if (!Number.isFinite(value)) return { $float: value > 0 ? "inf" : "-inf" };
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new RangeError(`${value} is beyond ±(2^53 − 1), where whole numbers are no longer exact`);
    }
    return value;
  }
  if (Array.isArray(value)) return value.map(shared);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value);
  if (entries.some(([key]) => key.startsWith("$"))) {
    throw new TypeError("keys that begin with $ stand for what JSON does not have");
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, shared(item)]));
}
