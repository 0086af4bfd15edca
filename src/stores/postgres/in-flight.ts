import type { StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';

/**
 * Jobs that this store has answered to a claim and that are not written yet: what is kept from this process alone, where
 * no other has to be told. Bounded on both sides, as the hiding in the table is: a clock that was wrong, and set back,
 * keeps nothing for long.
 */
export class InFlight {
  readonly #until = new Map<string, EpochMs>();

  /** Which of them still count at this time. */
  at(now: EpochMs, reserveMs: number): readonly string[] {
    for (const [id, until] of this.#until) if (until <= now || until > now + 2 * reserveMs) this.#until.delete(id);
    return [...this.#until.keys()];
  }

  get ids(): readonly string[] {
    return [...this.#until.keys()];
  }

  /** When the first of them may be claimed again; `null` where there is none. */
  get firstUntil(): EpochMs | null {
    let first = Number.POSITIVE_INFINITY;
    for (const until of this.#until.values()) first = Math.min(first, until);
    return first === Number.POSITIVE_INFINITY ? null : first;
  }

  add(jobs: readonly StoredJob[], until: EpochMs): void {
    for (const { record } of jobs) this.#until.set(record.id, until);
  }

  /** Answers whether it was one of them. */
  delete(id: string): boolean {
    return this.#until.delete(id);
  }
}
