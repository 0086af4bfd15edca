import type { Member } from '../ports/job-store.js';
import { readCard, type NodeCard } from './node-card.js';

/** Heartbeats after the first at which it is looked: whoever comes second notices soon. */
const FIRST_LOOKS = 3;
/** And then now and then: a process that stood still may come back to life. */
const LOOK_EVERY = 20;
/** Looks in a row without the other after which it is gone. Heartbeats are not in step: this one may have spoken twice in between. */
const GONE_AFTER = 5;

/**
 * Finds out that another scheduler lives under this one's name. What is stored under the name is replaced by whoever spoke
 * last, so to find another's words there, in place of one's own, is to know that it spoke since. A process that died, or was
 * restarted, does not; one that is stopping does, and is let go in peace, as is one that overlaps with the next for a moment.
 */
export class NameWatch {
  readonly #self: string;
  readonly #heartbeatMs: number;
  #beats = 0;
  /** Since when another is found, monotonic. */
  #since: number | null = null;
  #without = 0;
  #hasSaid = false;

  /** @param self - identity of this process; other processes of this name have another. */
  constructor(self: string, heartbeatMs: number) {
    this.#self = self;
    this.#heartbeatMs = heartbeatMs;
  }

  /** Whether to look before this heartbeat. To be asked at each. */
  get isDue(): boolean {
    this.#beats += 1;
    return this.#since !== null || (this.#beats > 1 && this.#beats <= FIRST_LOOKS) || this.#beats % LOOK_EVERY === 0;
  }

  /**
   * @param member - what is stored under the name, after this node spoke and before it does again.
   * @returns the other, if it has to be told of now.
   */
  look(member: Member | undefined, now: number): NodeCard | undefined {
    const card = member && readCard(member.about);
    if (card?.process === undefined || card.process === this.#self || card.state === 'stopping') {
      this.#without += 1;
      if (this.#without < GONE_AFTER) return undefined;
      this.#since = null;
      this.#hasSaid = false;
      return undefined;
    }
    this.#without = 0;
    this.#since ??= now;
    if (this.#hasSaid || now - this.#since < this.#heartbeatMs) return undefined;
    this.#hasSaid = true;
    return card;
  }
}
