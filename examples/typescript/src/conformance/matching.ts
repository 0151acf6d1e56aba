import type { Json } from "../cache_key.js";
import { ClearwayError } from "../errors.js";
import type { JsonObject } from "./reading.js";
import { micros, span } from "./times.js";

type Actual = Json | undefined;

/** Compares answers, as protobuf JSON, with what is expected of them. */
export class Matcher {
  /**
   * @param start the service's clock when the scenario began, in microseconds.
   * @param slack how far times may be off: 0 if the clock is stopped, otherwise as long as the scenario took.
   */
  constructor(
    private readonly start: number,
    private readonly slack: number,
  ) {}

  /** Yields what is not as expected; only the fields of `expected` are compared. */
  *differences(expected: Json, actual: Actual, where = ""): Generator<string> {
    const name = where === "" ? "the answer" : where;
    if (Array.isArray(expected)) {
      const items = Array.isArray(actual) ? actual : [];
      if (items.length !== expected.length) {
        yield `${name} has ${items.length} items, expected ${expected.length}: ${shown(actual)}`;
        return;
      }
      for (const [place, item] of expected.entries()) yield* this.differences(item, items[place], `${where}.${place}`);
    } else if (isObject(expected)) {
      const matcher = matcherOf(expected);
      if (matcher !== undefined) {
        if (!this.#matches(...matcher, actual)) yield `${name} is ${shown(actual)}, expected ${shown(expected)}`;
      } else if (!isObject(actual)) {
        yield `${name} is ${shown(actual)}, expected a message`;
      } else {
        for (const [key, value] of Object.entries(expected)) {
          yield* this.differences(value, actual[key], where === "" ? key : `${where}.${key}`);
        }
      }
    } else if (!isSame(expected, actual)) {
      yield `${name} is ${shown(actual)}, expected ${shown(expected)}`;
    }
  }

  #matches(name: string, argument: Json, actual: Actual): boolean {
    const isText = typeof actual === "string";
    switch (name) {
      case "$any":
        return (actual !== undefined && actual !== null) === argument;
      case "$contains":
        return isText && actual.includes(argument as string);
      case "$matches":
        return isText && new RegExp(`^(?:${argument as string})$`, "u").test(actual);
      case "$time":
        return isText && this.#isNear(micros(actual) - this.start, argument as string);
      case "$duration":
        return isText && this.#isNear(span(actual), argument as string);
      case "$between": {
        const [least, most] = argument as [number, number];
        const number = isText ? span(actual) / 1e6 : Number(actual ?? 0);
        return least <= number && number <= most;
      }
      case "$length":
        return (isText || Array.isArray(actual) ? [...actual].length : 0) === argument;
      case "$includes": {
        const items = Array.isArray(actual) ? actual : [];
        const isThere = (value: Json) => items.some((item) => this.differences(value, item).next().done);
        return (argument as Json[]).every(isThere);
      }
      default:
        throw new ClearwayError(`${name} is no matcher that this runner knows`);
    }
  }

  #isNear(actual: number, expected: string): boolean {
    return Math.abs(actual - span(expected)) <= this.slack;
  }
}

function isObject(value: Actual): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function matcherOf(expected: JsonObject): [string, Json] | undefined {
  const [entry, ...others] = Object.entries(expected);
  return entry?.[0].startsWith("$") && others.length === 0 ? entry : undefined;
}

/** Whether two plain values are the same; a default value is the same as unset. */
function isSame(expected: Json, actual: Actual): boolean {
  if (expected === null || actual === null || actual === undefined) return isDefault(expected) && isDefault(actual);
  // 64-bit numbers are texts in protobuf JSON.
  if (typeof expected === "number" && typeof actual === "string") return String(expected) === actual;
  return expected === actual;
}

function isDefault(value: Actual): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.keys(value).length === 0;
  return !value;
}

function shown(value: Actual): string {
  return value === undefined ? "unset" : JSON.stringify(value);
}
