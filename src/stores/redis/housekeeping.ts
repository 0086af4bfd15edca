import type { EpochMs } from '../../ports/trigger.js';
import { DROP_OLD, EXPIRE, PRUNE_JOB } from './ledger-scripts.js';
import type { Link } from './link.js';
import type { RedisLedger } from './redis-ledger.js';
import type { Sweep } from './sweep.js';

/** Entries dealt with at a time: about a millisecond of the server's. */
const PIECE = 200;

export interface Retention {
  readonly perJob: number;
  readonly maxAgeMs: number | null;
}

/** Drops what is no longer to be kept, a piece at a time. */
export class Housekeeping {
  readonly #link: Link;
  readonly #ledger: RedisLedger;
  readonly #sweep: Sweep;
  readonly #retention: Retention;

  constructor(link: Link, ledger: RedisLedger, sweep: Sweep, retention: Retention) {
    this.#link = link;
    this.#ledger = ledger;
    this.#sweep = sweep;
    this.#retention = retention;
  }

  /** One piece of it. Answers whether something was done, so that there may be more. */
  async maintain(now: EpochMs): Promise<boolean> {
    // The rest is asked for again when that is done.
    if (this.#sweep.isUnderWay && (await this.#sweep.piece(now))) return true;
    return (await this.#pruneJob()) || (await this.#expireResults(now)) || (await this.#dropOld(now)) || this.#sweep.piece(now);
  }

  async #pruneJob(): Promise<boolean> {
    const { grownJobs } = this.#ledger;
    const [jobId] = grownJobs;
    if (jobId === undefined) return false;
    const dropped = Number(await this.#link.run(PRUNE_JOB, [jobId, String(this.#retention.perJob), String(PIECE)]));
    if (dropped < PIECE) grownJobs.delete(jobId);
    return true;
  }

  async #expireResults(now: EpochMs): Promise<boolean> {
    return Number(await this.#link.run(EXPIRE, [String(now), String(PIECE)])) > 0;
  }

  async #dropOld(now: EpochMs): Promise<boolean> {
    const { maxAgeMs } = this.#retention;
    return maxAgeMs !== null && Number(await this.#link.run(DROP_OLD, [String(now - maxAgeMs), String(PIECE)])) > 0;
  }
}
