import { create } from "@bufbuild/protobuf";

import { type Proposal, type ProposeRequest, ProposeRequestSchema } from "../gen/clearway/v1/proposal_pb.js";

/**
 * What is to be sent on one stream. Iterating it yields messages: whatever is pending when the transport asks for
 * the next one goes out together, so a busy client sends few large messages and an idle one small ones at once.
 */
export class Outbox implements AsyncIterable<ProposeRequest> {
  #proposals: Proposal[] = [];
  #messages: ProposeRequest[] = [];
  #closed = false;
  #wake = () => {};

  /** @param maxProposals how many proposals a message may carry. */
  constructor(public maxProposals: number) {}

  /** Sends a proposal with the next message. */
  propose(...proposals: Proposal[]): void {
    this.#proposals.push(...proposals);
    this.#wake();
  }

  /** Sends a message of its own, before all proposals that are pending. */
  send(message: Omit<Partial<ProposeRequest>, "$typeName" | "$unknown">): void {
    this.#messages.push(create(ProposeRequestSchema, message));
    this.#wake();
  }

  /** Closes the client's side when all is sent. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<ProposeRequest> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) {
        yield message;
      } else if (this.#proposals.length > 0) {
        yield create(ProposeRequestSchema, { proposals: this.#proposals.splice(0, this.maxProposals) });
      } else if (this.#closed) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}
