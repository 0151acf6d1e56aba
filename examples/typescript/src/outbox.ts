import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";

import {
  type Proposal,
  ProposalSchema,
  type ProposeRequest,
  ProposeRequestSchema,
} from "../gen/clearway/v1/proposal_pb.js";

// What a message has around its proposals, and each of them around its own bytes.
const MARGIN_BYTES = 1_024;
const EACH_BYTES = 8;

/**
 * What is to be sent on one stream. Iterating it yields messages: whatever is pending when the transport asks for
 * the next one goes out together, so a busy client sends few large messages and an idle one small ones at once.
 */
export class Outbox implements AsyncIterable<ProposeRequest> {
  /** How much a message may hold; the welcome says it. */
  bounds = { maxProposals: 1, maxMessageBytes: 65_536 };
  readonly #proposals: { proposal: Proposal; bytes: number }[] = [];
  readonly #messages: ProposeRequest[] = [];
  #closed = false;
  #wake = () => {};

  /** Sends proposals with the next message. */
  propose(...proposals: Proposal[]): void {
    for (const proposal of proposals) {
      this.#proposals.push({ proposal, bytes: toBinary(ProposalSchema, proposal).length + EACH_BYTES });
    }
    this.#wake();
  }

  /** Takes a proposal back, or tells the service that it is no longer wanted where it has been sent. */
  withdraw(proposalId: string): void {
    const place = this.#proposals.findIndex(({ proposal }) => proposal.id === proposalId);
    if (place >= 0) this.#proposals.splice(place, 1);
    else this.send({ withdrawals: [proposalId] });
  }

  /** Sends a message of its own, before all proposals that are pending. */
  send(message: MessageInitShape<typeof ProposeRequestSchema>): void {
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
        yield create(ProposeRequestSchema, { proposals: this.#next() });
      } else if (this.#closed) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  /** Takes as many proposals as a message may hold, one at least. */
  #next(): Proposal[] {
    const { maxProposals, maxMessageBytes } = this.bounds;
    let count = 0;
    let bytes = MARGIN_BYTES;
    for (const each of this.#proposals.slice(0, maxProposals)) {
      bytes += each.bytes;
      if (count > 0 && bytes > maxMessageBytes) break;
      count++;
    }
    return this.#proposals.splice(0, count).map(({ proposal }) => proposal);
  }
}
