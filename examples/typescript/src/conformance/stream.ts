import { toJson } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";

import type { Orchestrator } from "../../gen/clearway/v1/orchestrator_pb.js";
import {
  DecisionSchema,
  type ProposeRequest,
  type ProposeResponse,
  WelcomeSchema,
} from "../../gen/clearway/v1/proposal_pb.js";
import { Outbox } from "../outbox.js";
import { NotConformingError } from "./errors.js";
import type { JsonObject } from "./reading.js";

const DEADLINE_MS = 30_000;

/** An open stream; its messages are kept until a step takes them. */
export class OpenStream {
  readonly #outbox = new Outbox();
  readonly #broken = new AbortController();
  readonly #messages: ProposeResponse[] = [];
  readonly #decisions: JsonObject[] = [];
  #end: ConnectError | "well" | undefined;
  #changed: () => void = () => {};

  constructor(client: Client<typeof Orchestrator>, first: ProposeRequest) {
    this.send(first);
    void this.#read(client);
  }

  async #read(client: Client<typeof Orchestrator>): Promise<void> {
    try {
      for await (const message of client.propose(this.#outbox, { signal: this.#broken.signal })) {
        this.#messages.push(message);
        this.#decisions.push(...message.decisions.map((each) => toJson(DecisionSchema, each) as JsonObject));
        this.#changed();
      }
      this.#end = "well";
    } catch (error) {
      this.#end = lost(ConnectError.from(error), this.#broken.signal);
    }
    this.#outbox.close();
    this.#changed();
  }

  /** Waits until `found` returns a value; if the stream ends first, throws its error. */
  async #await<Value>(what: string, found: () => Value | undefined, evenIfEnded = false): Promise<Value> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      if (this.#end !== undefined && !evenIfEnded) {
        if (this.#end === "well") throw new NotConformingError(`${what} did not come before the stream ended`);
        throw this.#end;
      }
      if (Date.now() >= deadline) throw new NotConformingError(`${what} did not come within ${DEADLINE_MS} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now());
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Returns the welcome. */
  async welcome(): Promise<JsonObject> {
    const first = await this.#await("the welcome", () => this.#messages[0]);
    if (first.welcome === undefined) throw new NotConformingError("the first message has no welcome");
    return toJson(WelcomeSchema, first.welcome) as JsonObject;
  }

  /** Sends a message. */
  send(message: ProposeRequest): void {
    this.#outbox.send(message);
  }

  /** Returns the next decision about a proposal. */
  async decision(proposalId: string): Promise<JsonObject> {
    return this.#await(`a decision about ${proposalId}`, () => {
      const place = this.#decisions.findIndex((each) => each["proposalId"] === proposalId);
      return place < 0 ? undefined : this.#decisions.splice(place, 1)[0];
    });
  }

  /** Returns when the pong with this number has arrived. */
  async pong(number: number): Promise<void> {
    await this.#await(`pong ${number}`, () => this.#messages.find((each) => each.pong === BigInt(number)));
  }

  /** Returns the decisions that no step has taken. */
  unread(): JsonObject[] {
    return this.#decisions;
  }

  /** Closes the client's side. */
  halfClose(): void {
    this.#outbox.close();
  }

  /** Breaks the stream without a goodbye, and returns when that is done. */
  async kill(): Promise<void> {
    this.#broken.abort();
    await this.end();
  }

  /** Waits for the stream's end and returns its error; undefined for status OK. */
  async end(): Promise<ConnectError | undefined> {
    const end = await this.#await("the stream's end", () => this.#end, true);
    return end === "well" ? undefined : end;
  }
}

/**
 * Node reports the streams of a broken connection as cancelled, or as aborted if it was reset; gRPC's own clients report
 * UNAVAILABLE.
 */
function lost(error: ConnectError, cancelled: AbortSignal): ConnectError {
  const closed = error.code === Code.Canceled && error.rawMessage.startsWith("http/2 stream closed");
  const reset = error.code === Code.Aborted && /ECONNRESET|EPIPE|STREAM_DESTROYED|destroyed/.test(error.rawMessage);
  return (closed || reset) && !cancelled.aborted ? new ConnectError(error.rawMessage, Code.Unavailable) : error;
}
