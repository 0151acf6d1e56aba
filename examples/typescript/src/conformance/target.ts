import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { Orchestrator } from "../../gen/clearway/v1/orchestrator_pb.js";
import { ProposeRequestSchema } from "../../gen/clearway/v1/proposal_pb.js";
import { ClearwayError } from "../errors.js";
import { type JsonObject, method } from "./reading.js";
import { OpenStream } from "./stream.js";
import { micros } from "./times.js";

const DEADLINE_MS = 30_000;

/** A running server; its clock cannot be moved, and it cannot be killed. */
export class ServerTarget {
  readonly offers: ReadonlySet<string> = new Set(["wire"]);
  readonly clockStands: boolean = false;
  #connection: Http2SessionManager | undefined;
  #transport: Transport | undefined;
  #client: Client<typeof Orchestrator> | undefined;

  /** Connects to a server's `host:port`. */
  connect(address: string): this {
    this.#connection?.abort();
    const baseUrl = `http://${address}`;
    this.#connection = new Http2SessionManager(baseUrl);
    this.#transport = createGrpcTransport({ baseUrl, sessionManager: this.#connection });
    this.#client = createClient(Orchestrator, this.#transport);
    return this;
  }

  /** Makes a unary call; request and response are protobuf JSON. */
  async call(name: string, request: JsonObject): Promise<JsonObject> {
    const desc = method(name);
    if (desc.methodKind !== "unary" || !this.#transport) throw new ClearwayError(`'${name}' is no unary RPC`);
    const input = fromJson(desc.input, request);
    const answer = await this.#transport.unary({ ...desc, methodKind: "unary" }, undefined, DEADLINE_MS, undefined, input);
    return toJson(desc.output, answer.message) as JsonObject;
  }

  /** Opens a stream with its first message. */
  open(first: JsonObject): OpenStream {
    if (!this.#client) throw new ClearwayError("there is no server");
    return new OpenStream(this.#client, fromJson(ProposeRequestSchema, first));
  }

  /** Moves the service's clock by some seconds, and returns when everything due by then is done. */
  async advance(seconds: number): Promise<void> {
    throw new ClearwayError(`the clock of somebody else's server cannot be moved by ${seconds} s`);
  }

  /** Kills the service, and starts it again. */
  async restart(): Promise<void> {
    throw new ClearwayError("somebody else's server cannot be killed");
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    this.#connection?.abort();
  }
}

/** A server that the runner starts by a command, and whose clock it moves; it kills and restarts the server. */
export class StartedTarget extends ServerTarget {
  override readonly offers = new Set(["wire", "clock", "restart"]);
  override readonly clockStands = true;
  #process: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;
  #port = "0";

  private constructor(private readonly command: string) {
    super();
  }

  /** Starts a server; docs/conformance.md says what its command must do. */
  static async start(command: string): Promise<StartedTarget> {
    const target = new StartedTarget(command);
    try {
      await target.#start(Date.now() / 1_000);
    } catch (error) {
      await target.close();
      throw error;
    }
    return target;
  }

  async #start(now: number): Promise<void> {
    // With `exec`, so that the process to kill is the server and not a shell.
    this.#process = spawn(`exec ${this.command} --port ${this.#port}`, {
      shell: true,
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, CONFORMANCE_NOW: now.toFixed(6) },
    });
    const { stdout } = this.#process;
    if (stdout === null) throw new ClearwayError("the server's output cannot be read");
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]();
    const address = await this.#answer("listening");
    this.#port = address.slice(address.lastIndexOf(":") + 1);
    this.connect(address);
  }

  /** Returns what the process writes after a word, on its next line. */
  async #answer(word: string): Promise<string> {
    const next = await this.#lines?.next();
    const line = next?.done ? "" : String(next?.value);
    if (!line.startsWith(`${word} `)) {
      throw new ClearwayError(`the server's command said '${line}'; it must say '${word} ...'`);
    }
    return line.slice(word.length).trim();
  }

  override async advance(seconds: number): Promise<void> {
    this.#process?.stdin?.write(`advance ${seconds}\n`);
    await this.#answer("advanced");
  }

  override async restart(): Promise<void> {
    const { currentTime } = await this.call("GetServerInfo", {});
    await this.#kill();
    await this.#start(micros(String(currentTime)) / 1e6);
  }

  async #kill(): Promise<void> {
    const process = this.#process;
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, "exit");
    process.kill("SIGKILL");
    await ended;
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#kill();
  }
}

/** Returns the message with which a client ends its session. */
export function goodbye() {
  return create(ProposeRequestSchema, { goodbye: true });
}
