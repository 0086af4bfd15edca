import type { EpochMs, Trigger } from '../ports/trigger.js';
import { refuseNaN } from './bounds.js';
import { conjuncts } from './conjunction.js';
import { joinCycles, leapNext, leapPrevious, type Cycle } from './cycle.js';
import { IntervalTrigger } from './interval.js';
import { meetOfIntervals, type Progression } from './progression.js';
import { firesAt, isExactly, MAX_ROUNDS, MAX_STEPS, PATIENCE, previousOf, TriggerSearchError } from './search.js';
import { SharedTimes } from './shared-times.js';

/**
 * The instants of one trigger that are not another's. The base is asked for one after the other until one is left,
 * with the same three aids as in a {@link Conjunction}: intervals that take out all of an interval are left in one
 * step (and any others take out no two in a row), clocks and intervals are compared as times of day when the first
 * rounds have found nothing, and after one {@link Cycle} a search is over.
 */
export class Difference {
  readonly #trigger: Trigger;
  readonly #base: Trigger;
  readonly #excluded: Trigger;
  /** Where every instant of the base is excluded in a row. */
  readonly #covered: Progression | undefined;
  /** Undefined until a search needs them; then all that follow use the same. */
  #guide: { readonly shared: SharedTimes | undefined; readonly cycle: Cycle | undefined } | undefined;
  /** Known to be beyond the last instant, and before the first. */
  #over: EpochMs = Infinity;
  #notYet: EpochMs = -Infinity;

  /** @param trigger - whose parts these are, for the error. */
  constructor(trigger: Trigger, base: Trigger, excluded: Trigger) {
    this.#trigger = trigger;
    this.#base = base;
    this.#excluded = excluded;
    this.#covered = coveredBy(conjuncts(base), conjuncts(excluded));
  }

  /** @throws TriggerSearchError when too many instants in a row are excluded. */
  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    if (after >= this.#over) return null;
    const at = this.#searchNext(after);
    if (at === null) this.#over = after;
    return at;
  }

  /** @throws TriggerSearchError when too many instants in a row are excluded. */
  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    if (before <= this.#notYet) return null;
    const at = this.#searchPrevious(before);
    if (at === null) this.#notYet = before;
    return at;
  }

  #searchNext(after: EpochMs): EpochMs | null {
    const budget = { steps: MAX_STEPS };
    const { first = Infinity, last = -Infinity } = this.#covered ?? {};
    let from = after;
    for (let round = 0; round < MAX_ROUNDS && budget.steps > 0; round += 1) {
      if (round >= PATIENCE) {
        const { shared, cycle } = this.#guideOf();
        const possible = shared === undefined ? from + 1 : shared.next(from, budget);
        if (possible === null) return null;
        from = cycle === undefined ? possible - 1 : leapNext(cycle, after, possible) - 1;
        if (from === Infinity) return null;
      }
      const at = this.#base.next(from);
      if (at === null) return null;
      if (!firesAt(this.#excluded, at)) return at;
      from = at >= first && at < last ? last : at;
    }
    throw new TriggerSearchError('except', after, from, this.#trigger);
  }

  #searchPrevious(before: EpochMs): EpochMs | null {
    const budget = { steps: MAX_STEPS };
    const { first = Infinity, last = -Infinity } = this.#covered ?? {};
    let from = before;
    for (let round = 0; round < MAX_ROUNDS && budget.steps > 0; round += 1) {
      if (round >= PATIENCE) {
        const { shared, cycle } = this.#guideOf();
        const possible = shared === undefined ? from - 1 : shared.previous(from, budget);
        if (possible === null) return null;
        from = cycle === undefined ? possible + 1 : leapPrevious(cycle, before, possible) + 1;
        if (from === -Infinity) return null;
      }
      const at = previousOf(this.#base, from);
      if (at === null) return null;
      if (!firesAt(this.#excluded, at)) return at;
      from = at > first && at <= last ? first : at;
    }
    throw new TriggerSearchError('except', from, before, this.#trigger);
  }

  #guideOf(): { readonly shared: SharedTimes | undefined; readonly cycle: Cycle | undefined } {
    return (this.#guide ??= {
      shared: SharedTimes.of(
        conjuncts(this.#base),
        meetOfIntervals(conjuncts(this.#base)) ?? undefined,
        this.#excluded,
      ),
      cycle: joinCycles([this.#base, this.#excluded]),
    });
  }
}

/**
 * Where an interval is among the parts of the base, and nothing but intervals excluded: the stretch in which every
 * instant of the one is also the other's, if there is such a stretch.
 */
function coveredBy(base: readonly Trigger[], excluded: readonly Trigger[]): Progression | undefined {
  const kept = meetOfIntervals(base);
  const taken = meetOfIntervals(excluded);
  if (kept == null || taken == null || !excluded.every((part) => isExactly(part, IntervalTrigger))) return undefined;
  const met = kept.meet(taken);
  return met?.period === kept.period ? met : undefined;
}
