import type { Clock } from '../../ports/clock.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Link } from './link.js';
import { readMessage, type Names } from './streams.js';

/** How long a comparison with the server's clock is relied on. In this time quartz drifts by some milliseconds at most. */
const FRESH_MS = 60_000;

/**
 * The clock of the server that leads the bucket of leases. It stamps what it stores: a message is written and read back,
 * so that its time lies between the two ends of the round trip, whoever wrote the one that is read. In between, the
 * monotonic clock of this process goes on from there, so that asking costs nothing and no jump of a wall clock is seen.
 * Behind by a round trip at most, so that nothing is due too early, plus the drift since. If the server's clock is set, so is
 * this one, with the next comparison.
 */
export class ServerClock {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #names: Names;
  /** The server's time when the monotonic clock was at 0. */
  #offset = Number.NaN;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #measuring: Promise<void> | undefined;

  constructor(link: Link, clock: Clock, names: Names) {
    this.#link = link;
    this.#clock = clock;
    this.#names = names;
    // It may lead to another server, with another clock.
    link.onBack(() => { this.#measuredAt = Number.NEGATIVE_INFINITY; });
  }

  /** As last measured. */
  estimate(): EpochMs {
    return Math.floor(this.#offset + this.#clock.monotonic());
  }

  /** @throws NatsStoreError when the server has to be asked and does not answer. */
  now(): EpochMs | Promise<EpochMs> {
    if (this.#clock.monotonic() - this.#measuredAt <= FRESH_MS) return this.estimate();
    return this.measure().then(() => this.estimate());
  }

  async measure(): Promise<void> {
    this.#measuring ??= this.#compare().finally(() => { this.#measuring = undefined; });
    return this.#measuring;
  }

  async #compare(): Promise<void> {
    const subject = `${this.#names.leaseSubject}clock`;
    const before = this.#clock.monotonic();
    await this.#link.store(subject, '', {});
    const stamped = await readMessage(this.#link, this.#names.leases, { last_by_subj: subject });
    const after = this.#clock.monotonic();
    const time = Date.parse(stamped?.time ?? '');
    if (Number.isNaN(time)) return;
    // As long as it is possible, what was thought before goes on: a slow round trip is a worse measurement than an earlier one.
    const [least, most] = [time - after, time - before + 1];
    if (!(this.#offset >= least && this.#offset <= most)) this.#offset = least;
    this.#measuredAt = after;
  }
}
