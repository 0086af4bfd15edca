import { randomUUID } from 'node:crypto';
import type { Logger } from '../../ports/logger.js';
import type { EpochMs } from '../../ports/trigger.js';
import { MEND_ALARMS } from './alarms.js';
import type { Reply } from './driver.js';
import type { Link, Script } from './link.js';
import { DROP_RELEASED } from './redis-leases.js';
import { FORGET } from './redis-members.js';
import { BEGIN, MEND_DUE, MEND_IDS, MEND_LOOKS, MEND_RECORDS, MERGE_NOTES, SWEEP_LANES } from './sweep-scripts.js';

/** How often everything is looked at, by one of the stores on a prefix. */
const EVERY_MS = 3_600_000;
/** Entries looked at by one call: some milliseconds of the server's, once an hour. */
const PIECE = 1_000;
/** Age from which what is noted of single jobs that are gone becomes one note for all: then it counts for new jobs, too. */
const MERGED_AFTER_MS = 86_400_000;

interface Step {
  readonly script: Script;
  readonly args: readonly string[];
}

/**
 * Goes through everything a piece at a time: indexes, which a crash of Redis between two writes cannot break but people
 * can, are made to agree with the records; what is about things that are gone is taken out.
 */
export class Sweep {
  readonly #link: Link;
  readonly #logger: Logger;
  #steps: Step[] = [];
  #cursor = '0';
  #mended = 0;
  #nonce = '';
  #nextAt = Number.NEGATIVE_INFINITY;

  constructor(link: Link, logger: Logger) {
    this.#link = link;
    this.#logger = logger;
  }

  /** It has begun, and is not done yet. */
  get isUnderWay(): boolean {
    return this.#steps.length > 0;
  }

  /** One piece of it. Answers whether there is more. */
  async piece(now: EpochMs): Promise<boolean> {
    const [step] = this.#steps;
    if (step === undefined) return this.#begin(now);
    const [cursor, mended] = (await this.#link.run(step.script, [this.#cursor, String(PIECE), ...step.args])) as Reply[];
    this.#cursor = String(cursor);
    this.#mended += Number(mended);
    if (this.#cursor !== '0') return true;
    this.#steps.shift();
    if (step.script === MEND_RECORDS) {
      // By now all lanes are known in which something wakes.
      const lanes = (await this.#link.run(SWEEP_LANES, [this.#nonce])) as string[];
      this.#steps.push(...lanes.map((lane) => ({ script: MEND_DUE, args: [lane] })));
    }
    if (this.#steps.length > 0) return true;
    if (this.#mended > 0) this.#logger.warn('entries of indexes in Redis did not agree with the jobs, and were mended', { prefix: this.#link.base, entries: this.#mended });
    this.#mended = 0;
    return false;
  }

  async #begin(now: EpochMs): Promise<boolean> {
    if (now < this.#nextAt && now > this.#nextAt - 2 * EVERY_MS) return false;
    this.#nextAt = now + EVERY_MS;
    if (Number(await this.#link.run(BEGIN, [String(now), String(EVERY_MS)])) !== 1) return false;
    const nonce = randomUUID();
    await this.#link.run(FORGET, [String(now)]);
    this.#steps = [
      { script: MEND_RECORDS, args: [nonce] },
      { script: MEND_IDS, args: [] },
      { script: MEND_LOOKS, args: [] },
      { script: MEND_ALARMS, args: [] },
      { script: DROP_RELEASED, args: [] },
      { script: MERGE_NOTES, args: [String(now - MERGED_AFTER_MS)] },
    ];
    this.#nonce = nonce;
    return true;
  }
}
