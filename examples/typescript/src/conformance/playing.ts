import { setTimeout as sleep } from "node:timers/promises";

import { fromJson } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";

import { ProposeRequestSchema } from "../../gen/clearway/v1/proposal_pb.js";
import type { Json } from "../cache_key.js";
import { ClearwayError } from "../errors.js";
import { facts, NotConformingError } from "./errors.js";
import { Matcher } from "./matching.js";
import { Values } from "./placeholders.js";
import type { Call, Expected, JsonObject, Scenario, Step } from "./reading.js";
import type { OpenStream } from "./stream.js";
import { goodbye, type ServerTarget } from "./target.js";
import { micros, span } from "./times.js";

const DEADLINE_MS = 30_000;
const PAUSE_MS = 10;
const MOVES = 20;
const FIRST = { hello: { clientName: "conformance" } };

/**
 * Plays a scenario on a server.
 *
 * @throws NotConformingError the service did something else; the message names the step and the difference.
 */
export async function play(scenario: Scenario, target: ServerTarget): Promise<void> {
  const began = performance.now();
  const { currentTime } = await target.call("GetServerInfo", {});
  const player = new Player(target, new Values(micros(String(currentTime))), began);
  for (const [place, step] of scenario.steps.entries()) {
    try {
      await player.do(step);
    } catch (error) {
      if (error instanceof ClearwayError) throw error;
      const where = `${scenario.file}: '${scenario.name}'\nstep ${place + 1} of ${scenario.steps.length}`;
      throw new NotConformingError(`${where}: ${JSON.stringify(step)}\n${String(error)}`, { cause: error });
    }
  }
  await player.finish(scenario);
}

class Player {
  readonly #streams = new Map<string, OpenStream>();
  readonly #calls = new Map<string, Promise<JsonObject>>();

  constructor(
    private readonly target: ServerTarget,
    private readonly values: Values,
    private readonly began: number,
  ) {}

  async do(step: Step): Promise<void> {
    if ("call" in step) {
      if (step.background !== undefined) {
        const call = this.#begin(step);
        call.catch(() => {}); // a failure is handled by the step that awaits the call
        this.#calls.set(step.background, call);
      } else if (step.eventually) {
        await this.#repeat(step);
      } else {
        await this.#compare(step, () => this.#begin(step));
      }
    } else if ("await" in step) {
      const call = this.#calls.get(step.await);
      if (call === undefined) throw new ClearwayError(`no call in the background has the name '${step.await}'`);
      await this.#compare(step, () => call);
    } else if ("open" in step) {
      const stream = this.target.open(this.values.fill(step.first ?? FIRST));
      await this.#compare(step, () => stream.welcome());
      if (step.error === undefined) this.#streams.set(step.open, stream);
    } else if ("stream" in step) {
      const stream = this.#stream(step.stream);
      if (step.send !== undefined) stream.send(fromJson(ProposeRequestSchema, this.values.fill(step.send)));
      if (step.pong) await stream.pong(step.pong);
      for (const decision of step.decisions ?? []) {
        const expected = this.values.fill(decision);
        const got = await stream.decision(String(expected["proposalId"]));
        this.#check(expected, got);
        this.#save(step.save, got);
      }
    } else if ("half_close" in step) {
      this.#stream(step.half_close).halfClose();
    } else if ("kill" in step) {
      await this.#stream(step.kill).kill();
      this.#streams.delete(step.kill);
    } else if ("ended" in step) {
      const end = await this.#stream(step.ended).end();
      this.#streams.delete(step.ended);
      this.#check(this.values.fill(step.error ?? { code: "OK" }), facts(end));
    } else if ("advance" in step) {
      await this.#advance(span(step.advance) / 1e6, step.until);
    } else {
      await this.target.restart();
    }
  }

  /** Checks that no decision is left that no step awaited, and says goodbye. */
  async finish(scenario: Scenario): Promise<void> {
    const unread = [...this.#streams].map(([name, stream]) => [name, [...stream.unread()]] as const);
    for (const stream of this.#streams.values()) {
      if (stream.unread().length > 0) continue;
      stream.send(goodbye());
      stream.halfClose();
      await stream.end();
    }
    for (const [name, decisions] of unread) {
      if (decisions.length > 0) {
        const came = `stream '${name}' brought decisions that no step awaits: ${JSON.stringify(decisions)}`;
        throw new NotConformingError(`${scenario.file}: '${scenario.name}'\n${came}`);
      }
    }
  }

  async #advance(seconds: number, until: Call | undefined): Promise<void> {
    for (let move = 1; ; move++) {
      await this.target.advance(seconds);
      if (until === undefined) return;
      try {
        return await this.#compare(until, () => this.#begin(until));
      } catch (error) {
        if (!(error instanceof NotConformingError)) throw error;
        if (move === MOVES) throw new NotConformingError(`after ${MOVES} moves of the clock: ${error.message}`);
      }
    }
  }

  async #repeat(step: Call): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      try {
        return await this.#compare(step, () => this.#begin(step));
      } catch (error) {
        if (!(error instanceof NotConformingError)) throw error;
        if (Date.now() > deadline) throw new NotConformingError(`even after ${DEADLINE_MS} ms: ${error.message}`);
      }
      await sleep(PAUSE_MS);
    }
  }

  #stream(name: string): OpenStream {
    const stream = this.#streams.get(name);
    if (stream === undefined) throw new ClearwayError(`no stream '${name}' is open`);
    return stream;
  }

  #begin(step: Call): Promise<JsonObject> {
    return this.target.call(step.call, this.values.fill(step.request ?? {}));
  }

  /** Checks a response or failure, and saves the values that the step names. */
  async #compare(step: Expected, answer: () => Promise<JsonObject>): Promise<void> {
    let got: JsonObject;
    try {
      got = await answer();
    } catch (error) {
      if (step.error === undefined || !(error instanceof ConnectError)) throw error;
      this.#check(this.values.fill(step.error), facts(error));
      return;
    }
    if (step.error !== undefined) {
      throw new NotConformingError(`it was to fail with ${JSON.stringify(step.error)}, and was answered ${JSON.stringify(got)}`);
    }
    this.#check(this.values.fill(step.expect ?? {}), got);
    this.#save(step.save, got);
  }

  #check(expected: JsonObject, got: JsonObject): void {
    const slack = this.target.clockStands ? 0 : (performance.now() - this.began) * 1_000;
    const differences = [...new Matcher(this.values.now, slack).differences(expected, got)];
    if (differences.length > 0) {
      throw new NotConformingError(["not as expected:", ...differences, `all of it: ${JSON.stringify(got)}`].join("\n"));
    }
  }

  #save(save: { [name: string]: string } | undefined, got: JsonObject): void {
    for (const [name, path] of Object.entries(save ?? {})) {
      let value: Json | undefined = got;
      for (const part of path.split(".")) value = (value as JsonObject | undefined)?.[part];
      if (value === undefined) throw new NotConformingError(`there is no ${path} to save in ${JSON.stringify(got)}`);
      this.values.saved.set(name, value);
    }
  }
}
