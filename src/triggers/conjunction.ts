import type { EpochMs, Trigger } from '../ports/trigger.js';
import { refuseNaN } from './bounds.js';
import { joinCycles, leapNext, leapPrevious, type Cycle } from './cycle.js';
import { IntervalTrigger } from './interval.js';
import { meetOfIntervals, type Progression } from './progression.js';
import {
  isExactly,
  MAX_ROUNDS,
  MAX_STEPS,
  PATIENCE,
  previousOf,
  TriggerSearchError,
  type Searchable,
} from './search.js';
import { SharedTimes } from './shared-times.js';

/** An "and" gives away its parts under this name, so that one within another need not be searched on its own. */
export const PARTS: unique symbol = Symbol('parts');

/** The triggers that all have to fire for this one to fire: itself, unless it is made of several. */
export function conjuncts(trigger: Trigger): readonly Trigger[] {
  const { [PARTS]: parts } = trigger as { readonly [PARTS]?: readonly Trigger[] | undefined };
  return parts === undefined ? [trigger] : parts.flatMap(conjuncts);
}

/**
 * The instants that several triggers have in common, found by leaps: each part in turn is asked for its first instant
 * from the latest candidate on, until all name the same (the leapfrog join of T. Veldhuizen, "Leapfrog Triejoin",
 * ICDT 2014, on one variable). So the search goes from one of the sparsest part's instants to the next, however dense
 * the others are.
 *
 * Three things keep it short where parts hardly ever agree. Intervals are one progression from the start. When the
 * first rounds have found nothing, clocks and intervals are compared as times of day ({@link SharedTimes}). And where
 * all parts repeat themselves, a search that has gone through one {@link Cycle} is over.
 */
export class Conjunction {
  readonly #trigger: Trigger;
  readonly #triggers: readonly Trigger[];
  readonly #parts: readonly Searchable[];
  readonly #progression: Progression | undefined;
  /** Undefined until a search needs them; then all that follow use the same. */
  #guide: { readonly shared: SharedTimes | undefined; readonly cycle: Cycle | undefined } | undefined;
  /** Known to be beyond the last instant, and before the first. */
  #over: EpochMs = Infinity;
  #notYet: EpochMs = -Infinity;

  /** @param trigger - whose parts these are, for the error. */
  constructor(trigger: Trigger, triggers: readonly Trigger[]) {
    this.#trigger = trigger;
    this.#triggers = triggers.flatMap(conjuncts);
    const met = meetOfIntervals(this.#triggers);
    if (met === null) [this.#over, this.#notYet] = [-Infinity, Infinity];
    this.#progression = met ?? undefined;
    this.#parts =
      met === null || met === undefined
        ? this.#triggers
        : [met, ...this.#triggers.filter((part) => !isExactly(part, IntervalTrigger))];
  }

  /** @throws TriggerSearchError when the parts do not agree within a bounded number of rounds. */
  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    if (after >= this.#over) return null;
    const at = this.#searchNext(after);
    if (at === null) this.#over = after;
    return at;
  }

  /** @throws TriggerSearchError when the parts do not agree within a bounded number of rounds. */
  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    if (before <= this.#notYet) return null;
    const at = this.#searchPrevious(before);
    if (at === null) this.#notYet = before;
    return at;
  }

  #searchNext(after: EpochMs): EpochMs | null {
    const parts = this.#parts;
    const budget = { steps: MAX_STEPS };
    let from = after;
    let candidate = -Infinity;
    let agreed = 0;
    for (let round = 0; round < MAX_ROUNDS && budget.steps > 0; round += 1) {
      if (round >= PATIENCE && round % parts.length === 0) {
        // The guide has its turn with the parts.
        const { shared, cycle } = this.#guideOf();
        const possible = shared === undefined ? from + 1 : shared.next(from, budget);
        if (possible === null) return null;
        from = cycle === undefined ? possible - 1 : leapNext(cycle, after, possible) - 1;
        if (from === Infinity) return null;
      }
      const at = parts[round % parts.length]!.next(from);
      if (at === null) return null;
      agreed = at === candidate ? agreed + 1 : 1;
      if (agreed >= parts.length) return at;
      candidate = at;
      from = at - 1;
    }
    throw new TriggerSearchError('and', after, candidate, this.#trigger);
  }

  #searchPrevious(before: EpochMs): EpochMs | null {
    const parts = this.#parts;
    const budget = { steps: MAX_STEPS };
    let from = before;
    let candidate = Infinity;
    let agreed = 0;
    for (let round = 0; round < MAX_ROUNDS && budget.steps > 0; round += 1) {
      if (round >= PATIENCE && round % parts.length === 0) {
        const { shared, cycle } = this.#guideOf();
        const possible = shared === undefined ? from - 1 : shared.previous(from, budget);
        if (possible === null) return null;
        from = cycle === undefined ? possible + 1 : leapPrevious(cycle, before, possible) + 1;
        if (from === -Infinity) return null;
      }
      const at = previousOf(parts[round % parts.length]!, from);
      if (at === null) return null;
      agreed = at === candidate ? agreed + 1 : 1;
      if (agreed >= parts.length) return at;
      candidate = at;
      from = at + 1;
    }
    throw new TriggerSearchError('and', candidate, before, this.#trigger);
  }

  #guideOf(): { readonly shared: SharedTimes | undefined; readonly cycle: Cycle | undefined } {
    return (this.#guide ??= {
      shared: SharedTimes.of(this.#triggers, this.#progression),
      cycle: joinCycles(this.#triggers),
    });
  }
}
