import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { DescMethod } from "@bufbuild/protobuf";

import { Orchestrator } from "../../gen/clearway/v1/orchestrator_pb.js";
import type { Json } from "../cache_key.js";
import { ClearwayError } from "../errors.js";

/** A message as protobuf JSON. */
export type JsonObject = { [key: string]: Json };

/** What a step expects of a response; several kinds of steps have these keys. */
export interface Expected {
  expect?: JsonObject;
  error?: JsonObject;
  save?: { [name: string]: string };
}

/** A call: a step, or the condition until which a clock is moved. */
export interface Call extends Expected {
  call: string;
  request?: JsonObject;
  background?: string;
  eventually?: boolean;
}

/** One step, as docs/conformance.md describes it. */
export type Step =
  | Call
  | ({ await: string } & Expected)
  | ({ open: string; first?: JsonObject } & Expected)
  | { stream: string; send?: JsonObject; decisions?: JsonObject[]; pong?: number; save?: { [name: string]: string } }
  | { half_close: string }
  | { kill: string }
  | { ended: string; error?: JsonObject }
  | { advance: string; until?: Call }
  | { restart: "server" };

/** What a service must do. */
export interface Scenario {
  name: string;
  why: string;
  needs: string[];
  steps: Step[];
  file: string;
}

/** What a scenario may need besides calls, and how the runner prints it. */
export const NEEDS: { [need: string]: string } = {
  clock: "the service's clock is moved",
  restart: "the service is killed and started again",
  wire: "what is seen only on a connection: the order of messages, pongs",
};

const EXPECTED = ["expect", "error", "save"];
const KEYS: { [kind: string]: string[] } = {
  call: ["request", "background", "eventually", ...EXPECTED],
  await: EXPECTED,
  open: ["first", ...EXPECTED],
  stream: ["send", "decisions", "pong", "save"],
  half_close: [],
  kill: [],
  ended: ["error"],
  advance: ["until"],
  restart: [],
};

/** Returns the RPC with a name. */
export function method(name: string): DescMethod {
  const found = Orchestrator.methods.find((each) => each.name === name);
  if (found === undefined) throw new ClearwayError(`'${name}' is no RPC of ${Orchestrator.typeName}`);
  return found;
}

/**
 * Returns the scenarios of all files in a folder, by the files' names.
 *
 * @throws ClearwayError this runner does not understand one of them; none is left out silently.
 */
export function readAll(folder: string): Scenario[] {
  let files: string[];
  try {
    files = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
  } catch (error) {
    throw new ClearwayError(`the scenarios cannot be read: ${(error as Error).message}`);
  }
  if (files.length === 0) throw new ClearwayError(`there are no scenarios in ${folder}`);
  return files.flatMap((file) => parse(JSON.parse(readFileSync(join(folder, file), "utf8")), file));
}

function parse(document: unknown, file: string): Scenario[] {
  checkKeys(file, document, ["about", "scenarios"], ["before"]);
  const { before = [], scenarios } = document as unknown as { before?: Step[]; scenarios: Omit<Scenario, "file">[] };
  return scenarios.map((scenario) => {
    const where = `${file}: '${scenario.name}'`;
    checkKeys(where, scenario, ["name", "why", "steps"], ["needs"]);
    const { needs = [] } = scenario;
    for (const need of needs) {
      if (!(need in NEEDS)) throw new ClearwayError(`${where}: 'needs' has '${need}', which this runner does not know`);
    }
    const steps = [...before, ...scenario.steps];
    for (const [place, step] of steps.entries()) checkStep(`${where}: step ${place + 1}`, step);
    return { ...scenario, needs, steps, file };
  });
}

function checkStep(where: string, step: Step): void {
  const kinds = Object.keys(KEYS).filter((kind) => kind in step);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    throw new ClearwayError(`${where}: it must have one of ${Object.keys(KEYS).join(", ")}`);
  }
  checkKeys(where, step, [kind], KEYS[kind] ?? []);
  if ("call" in step) method(step.call);
  if ("advance" in step && step.until) checkKeys(where, step.until, ["call", "expect"], ["request"]);
}

function checkKeys(where: string, value: unknown, required: string[], others: string[]): void {
  if (typeof value !== "object" || value === null) throw new ClearwayError(`${where}: it must be an object`);
  const absent = required.find((key) => !(key in value));
  if (absent !== undefined) throw new ClearwayError(`${where}: '${absent}' is not there`);
  const unknown = Object.keys(value).find((key) => !required.includes(key) && !others.includes(key));
  if (unknown !== undefined) throw new ClearwayError(`${where}: '${unknown}' is no key here`);
}
