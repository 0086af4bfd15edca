import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NO_STATS } from '../../src/model/stats.js';
import { parseObject } from '../../src/serializers/parse-object.js';
import { readState as readWhole } from '../../src/serializers/read-state.js';
import { readState, writeState } from '../../src/stores/shared/state-text.js';
import { beginText, endText, putBlanks, putCode, putNumber, putText, textLength } from '../../src/stores/shared/text-buffer.js';

const instant = fc.option(fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.constantFrom(0, 0.5)), { nil: null });
const text = fc.option(fc.string({ unit: 'binary' }), { nil: null });
const count = fc.nat();
const JOB = 'a "job"@#';
const lastFireTime = 1_763_740_800_000;
const at = fc.oneof(instant, fc.constant(lastFireTime));
const stats = fc.oneof(
  fc.constant(NO_STATS),
  fc.record({
    succeeded: count, failed: count, cancelled: count, abandoned: count, missed: count, coalesced: count, skipped: count,
    timedRuns: count, totalDurationMs: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
    lastRunId: fc.oneof(text, fc.constant(`${JOB}@${lastFireTime}`)), lastVerdict: text, lastFinishedAt: at, lastDurationMs: instant,
    consecutiveFailures: count, lastSuccessAt: at.filter((value) => value !== 0),
  }),
);
const running = fc.record({
  state: fc.constant('running'), id: fc.oneof(fc.string({ unit: 'binary' }), fc.constant(`${JOB}@${lastFireTime}`)), scheduledFor: at, attempt: count,
  manual: fc.boolean(), catchUp: fc.boolean(), crashes: count, args: fc.oneof(fc.constant(null), fc.constant([1])), owner: fc.string(),
  token: fc.oneof(count, fc.constantFrom(0, 7)), leaseUntil: at, startedAt: at, abort: text,
});
const run = fc.oneof(
  running,
  fc.record({ running, process: fc.string() }).map((given) => ({ ...given.running, process: given.process })),
  fc.record({ running, later: fc.string() }).map((given) => ({ ...given.running, later: given.later })),
  fc.record({ id: fc.string(), state: fc.constantFrom('running', 'waiting', 'later') }),
);
const state = fc.record({
  status: fc.constantFrom('active', 'paused', 'quarantined', 'removed'), reason: text,
  nextFireTime: at, nextDueAt: at, lastFireTime: at, runCount: count, fence: fc.oneof(count, fc.constantFrom(0, 7)), generation: count, firstFireTime: instant,
  runs: fc.array(run, { maxLength: 3 }), stats, v: fc.constant(1),
});
const watch = fc.record({
  since: at.filter((value) => value !== null),
  overdue: fc.option(fc.record({ why: fc.constantFrom('no-success', 'not-started'), deadline: fc.integer(), raisedAt: fc.integer() }), { nil: null }),
});
const links = fc.constantFrom({ since: 1 }, { since: 2, followers: [{ to: 'other', on: 'any', since: 3 }], deliverAt: 4 });
const watched = fc.oneof(state, fc.record({ state, watch }).map((given) => ({ ...given.state, watch: given.watch })));
const linked = fc.oneof(watched, fc.record({ watched, links }).map((given) => ({ ...given.watched, links: given.links })));

it('a state comes back as it was written', () => {
  fc.assert(fc.property(linked, (json) => {
    const written = writeState(JOB, json);
    // 0 stands for what is the same as another field, and is rarely anything else.
    expect(written.startsWith('[') || (json.nextDueAt === 0 && json.nextFireTime !== 0)).toBe(true);
    // JSON has no negative zero, and needs none here.
    expect(readState(JOB, written)).toEqual(JSON.parse(JSON.stringify(json)));
    const filled = writeState(JOB, json, 300);
    expect(filled.trimEnd()).toBe(written.trimEnd());
    const bytes = Buffer.byteLength(filled);
    if (written.startsWith('[') && bytes <= 512) expect(bytes === 300 || bytes % 16 === 0).toBe(true);
  }));
});

it('a run that goes on takes little room', () => {
  const own = {
    state: 'running', id: `${JOB}@${lastFireTime}`, scheduledFor: lastFireTime, attempt: 1, manual: false, catchUp: true, crashes: 0, args: null,
    owner: 'node', token: 7, leaseUntil: lastFireTime + 1, startedAt: lastFireTime, abort: null,
  };
  const json = {
    v: 1, status: 'active', reason: null, nextFireTime: null, nextDueAt: null, lastFireTime, runCount: 1, fence: 7, generation: 1,
    firstFireTime: null, runs: [own], stats: NO_STATS,
  };
  expect(JSON.parse(writeState(JOB, json))[10]).toEqual([[0, 0, 1, 2, 0, 'node', 0, lastFireTime + 1, lastFireTime, null]]);
  const earlier = { ...json, fence: 8, lastFireTime: lastFireTime + 5 };
  expect(JSON.parse(writeState(JOB, earlier))[10]).toEqual([[0, lastFireTime, 1, 2, 0, 'node', 7, lastFireTime + 1, lastFireTime, null]]);
  expect(readState(JOB, writeState(JOB, earlier))).toEqual(earlier);
});

it('a state whose due time is that of its fire time says so once', () => {
  const json = {
    v: 1, status: 'active', reason: null, nextFireTime: lastFireTime, nextDueAt: lastFireTime, lastFireTime: null, runCount: 0, fence: 7, generation: 1,
    firstFireTime: null, runs: [], stats: NO_STATS,
  };
  expect(JSON.parse(writeState(JOB, json)).slice(3, 5)).toEqual([lastFireTime, 0]);
  expect(readState(JOB, writeState(JOB, json))).toEqual(json);
  // As it was written before that: both in full.
  expect(readState(JOB, writeState(JOB, json).replace(`${lastFireTime},0`, `${lastFireTime},${lastFireTime}`))).toEqual(json);
});

it('a state of another shape keeps its names', () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (json) => {
    const plain = JSON.parse(JSON.stringify(json)) as Record<string, unknown>;
    expect(readState(JOB, writeState(JOB, plain))).toEqual(plain);
  }));
  const more = { v: 1, status: 'active', later: [1] };
  expect(JSON.parse(writeState(JOB, more))).toEqual(more);
});

it('a state whose parts are of another shape comes back as it was written', () => {
  const parts = fc.record({ runs: fc.jsonValue(), stats: fc.jsonValue(), lastRunId: fc.jsonValue(), watch: fc.jsonValue() });
  fc.assert(fc.property(watched, parts, (json, { runs, stats: others, lastRunId, watch: other }) => {
    for (const broken of [{ ...json, runs }, { ...json, watch: other }, { ...json, watch: { since: 1, overdue: other } }, { ...json, stats: others }, { ...json, stats: { ...json.stats, lastRunId } }]) {
      const plain = JSON.parse(JSON.stringify(broken)) as Record<string, unknown>;
      expect(readState(JOB, writeState(JOB, plain))).toEqual(plain);
    }
  }));
});

it.each(['', '{', 'null', '5', '"x"'])('what is no state is handed on as it is: %s', (damaged) => {
  expect(readState(JOB, damaged)).toEqual({ unreadable: damaged });
  expect(parseObject(damaged)).toEqual({ unreadable: damaged });
});

it('what an earlier release wrote is read: without a watch, and with fewer counts', () => {
  const counts = [4, 1, 0, 0, 0, 0, 0, 5, 50, 0, 'succeeded', lastFireTime + 9, 10];
  const text = JSON.stringify([1, 'active', null, 5, 5, lastFireTime, 5, 7, 1, 1, 0, counts]);
  const json = readState(JOB, text);
  expect(json['watch']).toBeUndefined();
  expect(json['stats']).toMatchObject({ succeeded: 4, failed: 1, lastRunId: `${JOB}@${lastFireTime}`, lastFinishedAt: lastFireTime + 9, lastDurationMs: 10 });
  // The codec fills in what was not counted then.
  expect(readWhole(json)).toMatchObject({ watch: null, stats: { consecutiveFailures: 0, lastSuccessAt: lastFireTime + 9 } });
});

it('a success at the beginning of time is not taken for that of the last run', () => {
  const json = { v: 1, status: 'active', reason: null, nextFireTime: null, nextDueAt: null, lastFireTime, runCount: 1, fence: 7, generation: 1, firstFireTime: null, runs: [], stats: { ...NO_STATS, lastFinishedAt: 5, lastSuccessAt: 0 } };
  expect(readState(JOB, writeState(JOB, json))).toEqual(json);
});

const DATES = fc.integer({ min: 0, max: 8.64e15 });

it('numbers are written as JSON writes them, and so are texts of any length and kind', () => {
  const number = fc.oneof(fc.double(), fc.maxSafeInteger(), fc.nat(), DATES, fc.nat({ max: 9 }).map((digits) => 10 ** digits), fc.constantFrom(99_999_999, 1e8, 1e8 + 1, 1e21, Number.MAX_SAFE_INTEGER));
  const string = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', minLength: 30, maxLength: 60 }), fc.constantFrom('ö'.repeat(3_000), 'x'.repeat(10_000), '\ud800'));
  fc.assert(fc.property(fc.array(fc.oneof(number, string), { maxLength: 20 }), (pieces) => {
    beginText();
    for (const piece of pieces) {
      if (typeof piece === 'number') putNumber(piece);
      else putText(JSON.stringify(piece));
      putCode(10);
    }
    putBlanks(3);
    const text = pieces.map((piece) => `${JSON.stringify(piece)}\n`).join('').concat('   ');
    expect(textLength()).toBe(Buffer.byteLength(text));
    expect(endText()).toBe(text);
  }));
});

it('the id of a run is left out where it is the one for its fire time, and nowhere else', () => {
  const run = { state: 'running', attempt: 1, manual: false, catchUp: false, crashes: 0, args: null, owner: 'n', token: 1, leaseUntil: 1, startedAt: 1, abort: null };
  const fire = fc.oneof(DATES, fc.constantFrom(0, 7, -5, 0.5, 1e21));
  const mark = fc.constantFrom('', '0', '00', '+', '-', ' ', '.0', 'e0', 'x');
  fc.assert(fc.property(fire, mark, mark, fc.boolean(), (scheduledFor, before, after, isOfLast) => {
    const id = `${JOB}@${before}${scheduledFor}${after}`;
    const json = { v: 1, status: 'active', reason: null, nextFireTime: 1, nextDueAt: 1, lastFireTime: isOfLast ? scheduledFor : 3, runCount: 1, fence: 2, generation: 1, firstFireTime: 1, runs: [{ ...run, id, scheduledFor }], stats: NO_STATS };
    expect(readState(JOB, writeState(JOB, json))).toEqual(json);
  }));
});
