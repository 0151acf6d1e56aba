import { setTimeout as sleep } from "node:timers/promises";

import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { uuidv7 } from "uuidv7";

import { ErrorReason } from "../gen/clearway/v1/error_pb.js";
import { Orchestrator } from "../gen/clearway/v1/orchestrator_pb.js";
import {
  type Decision,
  type Proposal,
  ProposalSchema,
  type ProposeResponse,
  type Welcome,
} from "../gen/clearway/v1/proposal_pb.js";
import { StateType } from "../gen/clearway/v1/state_pb.js";
import { ClearwayError, isPassing, reasonOf, SessionExpiredError } from "./errors.js";
import { Outbox } from "./outbox.js";

const LONGEST_PAUSE_MS = 2_000;
const LEASE_BEFORE_WELCOME_MS = 30_000;

interface Undecided {
  proposal: Proposal;
  resolve(decision: Decision): void;
  reject(error: unknown): void;
}

/**
 * A session with the service, over a stream that is opened again when it breaks.
 *
 * Runs that enter Running through it belong to it: when it ends, those that are still Running become Crashed, and their
 * slots are released. The lease is renewed from the event loop, so code that blocks the loop for longer than the lease
 * loses the session; move long computations to a worker thread.
 */
export class Session {
  /** Unary calls. */
  readonly client: Client<typeof Orchestrator>;
  /** How often the stream was opened again. */
  resumed = 0;
  #welcome: Welcome | undefined;
  #outbox = new Outbox();
  // Proposals without a final decision, which are sent again, with the same ids, on each new stream.
  readonly #undecided = new Map<string, Undecided>();
  // Withdrawn proposals, which may have been decided nevertheless.
  readonly #withdrawn = new Set<string>();
  readonly #ended = new AbortController();
  readonly #connection: Http2SessionManager;
  #welcomed = false;
  #closing = false;
  #running: Promise<void> = Promise.resolve();
  #idle = () => {};

  private constructor(
    address: string,
    private readonly clientName: string,
  ) {
    const baseUrl = `http://${address}`;
    this.#connection = new Http2SessionManager(baseUrl);
    const transport = createGrpcTransport({ baseUrl, sessionManager: this.#connection });
    this.client = createClient(Orchestrator, transport);
  }

  /**
   * Opens a session.
   *
   * @param address the server's `host:port`.
   * @param clientName who the client is, for people.
   */
  static async open(address: string, clientName: string): Promise<Session> {
    const session = new Session(address, clientName);
    try {
      await session.client.getServerInfo({}, { timeoutMs: 10_000 });
    } catch (error) {
      session.#connection.abort();
      throw new ClearwayError(`no Clearway server answers at ${address}: ${ConnectError.from(error).rawMessage}`);
    }
    await new Promise<void>((resolve, reject) => {
      session.#running = session.#keepOpen(resolve).catch((error: unknown) => {
        session.#end(error);
        reject(error);
      });
    });
    return session;
  }

  /** Aborted when the session ends; with a `SessionExpiredError` if it was lost. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** The session's id. */
  get id(): string {
    return this.#welcome?.sessionId ?? "";
  }

  /**
   * Proposes a state and returns the final decision. It waits while the proposal is queued.
   *
   * @param signal withdraws the proposal. If it was accepted just before, its run is Cancelled when the decision
   *     arrives.
   */
  async propose(proposal: Proposal, signal?: AbortSignal): Promise<Decision> {
    this.ended.throwIfAborted();
    signal?.throwIfAborted();
    const decided = new Promise<Decision>((resolve, reject) => {
      // In the table before it is sent, because the stream may break in between.
      this.#undecided.set(proposal.id, { proposal, resolve, reject });
      if (this.#welcomed) this.#outbox.propose(proposal);
    });
    const withdraw = () => {
      this.#withdrawn.add(proposal.id);
      this.#outbox.withdraw(proposal.id);
      this.#take(proposal.id)?.reject(signal?.reason);
    };
    signal?.addEventListener("abort", withdraw, { once: true });
    try {
      return await decided;
    } finally {
      signal?.removeEventListener("abort", withdraw);
    }
  }

  /** Waits until everything is decided, then says goodbye. Runs that are still Running become Crashed. */
  async close(): Promise<void> {
    if (!this.ended.aborted && this.#undecided.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#closing = true;
    if (this.#welcomed) this.#sayGoodbye();
    await this.#running;
    this.#end(new ClearwayError("the session is closed"));
  }

  #sayGoodbye(): void {
    this.#outbox.send({ goodbye: true });
    this.#outbox.close();
  }

  /** Reads one stream after the other, until the session ends. */
  async #keepOpen(opened: () => void): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        for await (const message of this.#stream()) {
          failures = 0;
          if (message.welcome) this.#begin(message.welcome, opened);
          for (const decision of message.decisions) this.#decided(decision);
        }
        if (this.#closing) return;
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        if (reasonOf(error) === ErrorReason.SESSION_EXPIRED) {
          throw new SessionExpiredError(`the session has expired, so its runs are Crashed: ${error.rawMessage}`);
        }
        if (!isPassing(error)) throw new ClearwayError(`the server ended the stream: ${error.message}`);
        // The goodbye did not arrive; the session ends after its grace.
        if (this.#closing) return;
      }
      await sleep(Math.min(50 * 2 ** failures, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2));
    }
  }

  /** Opens one stream and yields its messages, until it ends or is silent for a whole lease. */
  async *#stream(): AsyncGenerator<ProposeResponse> {
    const outbox = (this.#outbox = new Outbox());
    const { clientName } = this;
    outbox.send({ hello: { clientName, language: "typescript", version: "0.2.0", resumeSessionId: this.id } });
    let heard = Date.now();
    let pings = 0n;
    const keepAlive = (leaseMs: number) =>
      setInterval(() => {
        if (Date.now() - heard <= leaseMs) outbox.send({ ping: ++pings });
        // Aborts the connection too: a new stream on a dead connection would be as silent.
        else this.#connection.abort(new ConnectError("nothing came for a whole lease", Code.Unavailable));
      }, leaseMs / 3);
    let pinging = keepAlive(LEASE_BEFORE_WELCOME_MS);
    try {
      for await (const message of this.client.propose(outbox)) {
        heard = Date.now();
        if (message.welcome?.lease) {
          clearInterval(pinging);
          pinging = keepAlive(durationMs(message.welcome.lease));
        }
        yield message;
      }
    } finally {
      this.#welcomed = false;
      clearInterval(pinging);
      outbox.close();
    }
  }

  #begin(welcome: Welcome, opened: () => void): void {
    if (this.#welcome) this.resumed++;
    this.#welcome = welcome;
    this.#welcomed = true;
    this.#outbox.bounds = welcome;
    this.#outbox.propose(...[...this.#undecided.values()].map((each) => each.proposal));
    if (this.#closing) this.#sayGoodbye();
    opened();
  }

  #decided(decision: Decision): void {
    const { answer } = decision;
    if (answer.case === "wait" && answer.value.queued) return; // queued; the final decision follows
    this.#take(decision.proposalId)?.resolve(decision);
    if (this.#withdrawn.delete(decision.proposalId) && answer.case === "accept" && !this.#closing) {
      // Its code will not run, and it may hold slots.
      const run = { case: "taskRunId", value: decision.runId } as const;
      const state = { type: StateType.CANCELLED, message: "no longer wanted" };
      this.propose(create(ProposalSchema, { id: uuidv7(), run, state })).catch(() => {});
    }
  }

  #take(proposalId: string): Undecided | undefined {
    const undecided = this.#undecided.get(proposalId);
    this.#undecided.delete(proposalId);
    if (this.#undecided.size === 0) this.#idle();
    return undecided;
  }

  #end(reason: unknown): void {
    this.#ended.abort(reason);
    this.#connection.abort();
    for (const id of [...this.#undecided.keys()]) this.#take(id)?.reject(reason);
  }
}
