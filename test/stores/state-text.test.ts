import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NO_STATS } from '../../src/model/stats.js';
import { parseObject } from '../../src/serializers/parse-object.js';
import { readState, writeState } from '../../src/stores/shared/state-text.js';

const instant = fc.option(fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.constant(0.5)), { nil: null });
const text = fc.option(fc.string({ unit: 'binary' }), { nil: null });
const count = fc.nat();
const stats = fc.oneof(
  fc.constant(NO_STATS),
  fc.record({
    succeeded: count, failed: count, cancelled: count, abandoned: count, missed: count, coalesced: count, skipped: count,
    timedRuns: count, totalDurationMs: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
    lastRunId: text, lastVerdict: text, lastFinishedAt: instant, lastDurationMs: instant,
  }),
);
const state = fc.record({
  status: fc.constantFrom('active', 'paused', 'quarantined', 'removed'), reason: text,
  nextFireTime: instant, nextDueAt: instant, lastFireTime: instant, runCount: count, fence: count, generation: count, firstFireTime: instant,
  runs: fc.array(fc.record({ id: fc.string(), state: fc.string() }), { maxLength: 3 }), stats, v: fc.constant(1),
});

it('a state comes back as it was written', () => {
  fc.assert(fc.property(state, (json) => {
    const written = writeState(json);
    expect(written.startsWith('[')).toBe(true);
    // JSON has no negative zero, and needs none here.
    expect(readState(written)).toEqual(JSON.parse(JSON.stringify(json)));
  }));
});

it('a state of another shape keeps its names', () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (json) => {
    const plain = JSON.parse(JSON.stringify(json)) as Record<string, unknown>;
    expect(readState(writeState(plain))).toEqual(plain);
  }));
  const more = { v: 1, status: 'active', later: [1] };
  expect(JSON.parse(writeState(more))).toEqual(more);
});

it.each(['', '{', 'null', '5', '"x"'])('what is no state is handed on as it is: %s', (damaged) => {
  expect(readState(damaged)).toEqual({ unreadable: damaged });
  expect(parseObject(damaged)).toEqual({ unreadable: damaged });
});
