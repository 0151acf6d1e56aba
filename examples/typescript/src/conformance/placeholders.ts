import { uuidv7 } from "uuidv7";

import type { Json } from "../cache_key.js";
import { ClearwayError } from "../errors.js";
import { span, written } from "./times.js";

/** What placeholders stand for in one play of one scenario. */
export class Values {
  readonly saved = new Map<string, Json>();
  readonly #made = new Map<string, string>();

  /** @param now the service's clock at the scenario's start, in microseconds. */
  constructor(readonly now: number) {}

  /** Returns a JSON value with all its placeholders replaced. */
  fill<Value extends Json>(value: Value): Value;
  fill(value: Json): Json {
    if (typeof value === "string") return value.replace(/\$\{([^}]*)\}/g, (_, inner: string) => this.#value(inner));
    if (Array.isArray(value)) return value.map((each) => this.fill(each));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.fill(each)]));
  }

  #value(inner: string): string {
    const named = /^(id|text|saved)\.([a-z][a-z0-9_]*)$/.exec(inner);
    if (named?.[1] === "saved") {
      const saved = this.saved.get(named[2] ?? "");
      if (saved === undefined) throw new ClearwayError(`nothing saved \${${inner}} before`);
      return String(saved);
    }
    if (named !== null) {
      const made = this.#made.get(inner) ?? (named[1] === "id" ? uuidv7() : `${named[2]}-${uuidv7()}`);
      this.#made.set(inner, made);
      return made;
    }
    const time = /^now([+-][0-9.]+s)?$/.exec(inner);
    if (time === null) throw new ClearwayError(`\${${inner}} is no placeholder that this runner knows`);
    return written(this.now + (time[1] === undefined ? 0 : span(time[1].replace("+", ""))));
  }
}
