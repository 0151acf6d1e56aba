import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";

import {
  type Proposal,
  ProposalSchema,
  type ProposeRequest,
  ProposeRequestSchema,
} from "../gen/clearway/v1/proposal_pb.js";

// The overhead of a message, and of each proposal in it.
const MARGIN_BYTES = 1_024;
const EACH_BYTES = 8;

/**
 * The messages to send on one stream, as an async iterable. Everything that is pending when the transport asks for the
 * next message is sent together, so a busy client sends few large messages and an idle one sends small ones at once.
 */
export class Outbox implements AsyncIterable<ProposeRequest> {
  /** How much a message may hold, from the welcome. */
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

  /** Removes a proposal, or withdraws it if it has been sent. */
  withdraw(proposalId: string): void {
    const place = this.#proposals.findIndex(({ proposal }) => proposal.id === proposalId);
    if (place >= 0) this.#proposals.splice(place, 1);
    else this.send({ withdrawals: [proposalId] });
  }

  /** Sends a separate message, before all pending proposals. */
  send(message: MessageInitShape<typeof ProposeRequestSchema>): void {
    this.#messages.push(create(ProposeRequestSchema, message));
    this.#wake();
  }

  /** Closes the client's side when everything is sent. */
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

  /** Removes and returns as many proposals as a message may hold, at least one. */
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
