import { strict as assert } from 'node:assert';
import type { EpochMs, Trigger, TriggerJson } from '../../ports/trigger.js';

/** What a law is checked with. */
export interface TriggerLawContext {
  /**
   * Epoch milliseconds to ask the trigger about, in any order. Good ones lie on, just before and just after fire
   * times, bounds and daylight-saving changes: random ones alone miss the faults.
   */
  readonly instants: readonly EpochMs[];
  /** Reads a stored trigger: `readTrigger`, or the `read` of your registry. */
  readonly read: (json: TriggerJson) => Trigger;
}

/** One obligation of the `Trigger` port. */
export interface TriggerLaw {
  readonly name: string;
  /** @throws AssertionError that names the instants when the trigger breaks the law. */
  run(trigger: Trigger, context: TriggerLawContext): void;
}

/**
 * The laws every trigger keeps, as data: run them under any test runner, over your own triggers too.
 *
 * @example
 * ```ts
 * for (const law of triggerLaws) {
 *   test(law.name, () => law.run(new FullMoonTrigger(), { instants, read: registry.read.bind(registry) }));
 * }
 * ```
 */
export const triggerLaws: readonly TriggerLaw[] = [
  {
    name: 'next is strictly later, and a whole number of milliseconds',
    run(trigger, { instants }) {
      for (const t of instants) {
        const at = trigger.next(t);
        if (at === null) continue;
        holds(Number.isInteger(at), () => `next(${show(t)}) is ${at}, which is no integer`);
        holds(at > t, () => `next(${show(t)}) is ${show(at)}, which is not later`);
      }
    },
  },
  {
    name: 'the same question has the same answer, whatever was asked in between',
    run(trigger, { instants }) {
      const answers = instants.map((t) => trigger.next(t));
      for (let i = instants.length - 1; i >= 0; i -= 1) {
        const t = instants[i] ?? 0;
        same(trigger.next(t), answers[i] ?? null, () => `next(${show(t)}) changed between two questions`);
      }
    },
  },
  {
    name: 'next is monotone',
    run(trigger, { instants }) {
      let last: { readonly t: EpochMs; readonly at: EpochMs | null } | undefined;
      for (const t of sorted(instants)) {
        const at = trigger.next(t);
        if (last !== undefined) {
          const { t: before, at: earlier } = last;
          holds(
            orInfinity(earlier) <= orInfinity(at),
            () => `next(${show(before)}) is ${show(earlier)}, but for the later ${show(t)} it is ${show(at)}`,
          );
        }
        last = { t, at };
      }
    },
  },
  {
    name: 'next leaves nothing out: anywhere up to its answer, the answer is the same',
    run(trigger, { instants }) {
      for (const t of instants) {
        const at = trigger.next(t);
        if (at === null) continue;
        for (const x of [
          t + 0.5,
          t + 1,
          t + (at - t) / 3,
          (t + at) / 2,
          at - 86_400_000,
          at - 3_600_000,
          at - 1000,
          at - 1,
          at - 0.5,
        ]) {
          if (x >= t && x < at)
            same(
              trigger.next(x),
              at,
              () => `next(${show(t)}) is ${show(at)}, but next(${show(x)}), in between, differs`,
            );
        }
      }
    },
  },
  {
    name: 'a fire time follows the one before it, without a loop',
    run(trigger, { instants }) {
      for (const t of instants) {
        let last = trigger.next(t);
        for (let i = 0; i < 5 && last !== null; i += 1) {
          const at: EpochMs = last;
          const following = trigger.next(at);
          holds(orInfinity(following) > at, () => `next(${show(at)}), itself a fire time, is ${show(following)}`);
          last = following;
        }
      }
    },
  },
  {
    name: 'read back from JSON it gives the same answers',
    run(trigger, { instants, read }) {
      const stored = JSON.stringify(trigger);
      const json = JSON.parse(stored) as TriggerJson;
      assert.equal(json.kind, trigger.kind, 'toJSON has another kind than the trigger');
      assert.ok(Number.isInteger(json.v) && json.v >= 1, `toJSON has no version: ${String(json.v)}`);
      const copy = read(json);
      assert.equal(JSON.stringify(copy), stored, 'read back and stored again, it is another record');
      assert.equal(copy.jitter, trigger.jitter, 'read back, it has another jitter');
      for (const t of instants) same(copy.next(t), trigger.next(t), () => `read back, next(${show(t)}) differs`);
    },
  },
  {
    name: 'previous mirrors next',
    run(trigger, { instants }) {
      if (trigger.previous === undefined) return;
      for (const t of instants) {
        const at = trigger.previous(t);
        if (at === null) {
          const first = trigger.next(-Number.MAX_SAFE_INTEGER);
          holds(orInfinity(first) >= t, () => `previous(${show(t)}) is null, but ${show(first)} lies before`);
          continue;
        }
        holds(Number.isInteger(at) && at < t, () => `previous(${show(t)}) is ${show(at)}, which is not earlier`);
        same(trigger.next(at - 1), at, () => `previous(${show(t)}) is ${show(at)}, which next does not know`);
        holds(
          orInfinity(trigger.next(at)) >= t,
          () => `previous(${show(t)}) is ${show(at)}, but ${show(trigger.next(at))} lies in between`,
        );
        const following = trigger.next(t - 1);
        if (following !== null) {
          same(
            trigger.previous(following + 1),
            following,
            () => `previous(${show(following + 1)}) misses the fire time just before`,
          );
        }
      }
    },
  },
  {
    name: 'count agrees with enumeration',
    run(trigger, { instants }) {
      if (trigger.count === undefined) return;
      for (const from of instants) {
        // A few fire times each: a count is checked, not a year walked through.
        const isFire = trigger.next(Math.ceil(from) - 1) === from;
        let expected = isFire ? 1 : 0;
        counts(trigger.count(from, from), expected, from, from);
        let at = trigger.next(from);
        for (let i = 0; i < 20 && at !== null; i += 1) {
          counts(trigger.count(from, at - 1), expected, from, at - 1);
          expected += 1;
          counts(trigger.count(from, at), expected, from, at);
          at = trigger.next(at);
        }
      }
    },
  },
  {
    name: 'a trigger that measures from completion answers later than the completion',
    run(trigger, { instants }) {
      if (trigger.nextAfterCompletion === undefined) return;
      for (const t of instants) {
        const at = trigger.nextAfterCompletion(t);
        holds(at === null || (Number.isInteger(at) && at > t), () => `nextAfterCompletion(${show(t)}) is ${show(at)}`);
      }
    },
  },
  {
    name: 'once the defaults are filled in, further ones change nothing',
    run(trigger, { instants }) {
      if (trigger.withDefaults === undefined) return;
      const filled = trigger.withDefaults({ timezone: 'Asia/Tokyo', anchor: 1_700_000_000_123, seed: 'a' });
      const again = filled.withDefaults?.({ timezone: 'America/Lima', anchor: 1_800_000_000_456, seed: 'b' }) ?? filled;
      assert.equal(JSON.stringify(again), JSON.stringify(filled), 'defaults were filled in twice');
      for (const t of instants) same(again.next(t), filled.next(t), () => `filled in twice, next(${show(t)}) differs`);
    },
  },
];

/** Messages are made only when needed: a suite asks millions of questions. */
function same(actual: EpochMs | null, expected: EpochMs | null, message: () => string): void {
  if (actual !== expected) assert.fail(`${message()}: ${show(actual)} instead of ${show(expected)}`);
}

function holds(condition: boolean, message: () => string): void {
  if (!condition) assert.fail(message());
}

function counts(actual: number, expected: number, from: EpochMs, to: EpochMs): void {
  holds(actual === expected, () => `count(${show(from)}, ${show(to)}) is ${actual} instead of ${expected}`);
}

function sorted(instants: readonly EpochMs[]): EpochMs[] {
  return [...instants].sort((a, b) => a - b);
}

function orInfinity(at: EpochMs | null): number {
  return at ?? Infinity;
}

function show(at: EpochMs | null): string {
  if (at === null) return 'null';
  const whole = Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : 'beyond Date';
  return `${whole} (${at})`;
}
