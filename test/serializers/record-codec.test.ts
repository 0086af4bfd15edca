import { IntervalTrigger, TriggerRegistry, type EncodedJob } from 'punctual';
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/core/decide.js';
import { NO_STATS } from '../../src/model/stats.js';
import { RecordCodec } from '../../src/serializers/record-codec.js';

const codec = new RecordCodec(new TriggerRegistry());
const DEFINITION = {
  v: 1,
  task: 'work',
  args: { by: 'devalue', data: '[[1],1]' },
  taskVersion: 2,
  owner: 'set',
  trigger: { ...new IntervalTrigger({ seconds: 1 }).toJSON() },
  anchor: 0,
  policy: { executor: 'default', jitterMs: 0, retry: null, maxRuns: null, startTime: null, endTime: null },
  name: null,
  tags: ['t'],
  metadata: null,
};
const STATE = {
  v: 1,
  status: 'active',
  reason: null,
  nextFireTime: 1_000,
  nextDueAt: 1_000,
  lastFireTime: null,
  runCount: 0,
  fence: 1,
  generation: 1,
  firstFireTime: 1_000,
  runs: [],
  stats: NO_STATS,
};
const without = (object: object, key: string): Record<string, unknown> => Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));

const BROKEN: Readonly<Record<string, EncodedJob>> = {
  'nothing but a version': { id: 'a', definition: { v: 1 }, state: STATE },
  'no policy': { id: 'a', definition: without(DEFINITION, 'policy'), state: STATE },
  'no args': { id: 'a', definition: without(DEFINITION, 'args'), state: STATE },
  'no tags': { id: 'a', definition: without(DEFINITION, 'tags'), state: STATE },
  'no trigger': { id: 'a', definition: without(DEFINITION, 'trigger'), state: STATE },
  'a newer version of another shape': { id: 'a', definition: { v: 2, job: DEFINITION }, state: STATE },
  'a newer version with more in it': { id: 'a', definition: { ...DEFINITION, v: 2, more: [1] }, state: { ...STATE, v: 2, more: 2 } },
  'no runs': { id: 'a', definition: DEFINITION, state: without(STATE, 'runs') },
  'args of a serializer that is not here': { id: 'a', definition: { ...DEFINITION, args: { by: 'secret', data: 'xyz' } }, state: STATE },
  'args nobody can read': { id: 'a', definition: { ...DEFINITION, args: { by: 'devalue', data: '[[1' } }, state: STATE },
  'args that are no list': { id: 'a', definition: { ...DEFINITION, args: { by: 'devalue', data: '[1]' } }, state: STATE },
  'no state': { id: 'a', definition: DEFINITION, state: { v: 1 } },
};

describe('a stored record that cannot be read', () => {
  it.each(Object.entries(BROKEN))('goes into quarantine and loses nothing: %s', (_what, encoded) => {
    const record = codec.decode(encoded);
    const { next } = decide(record, { now: 5_000, node: 'n', leaseUntil: null, process: null, slots: 1, executes: () => false });
    expect(next?.state).toMatchObject({ status: 'quarantined', reason: expect.any(String) as string });
    const written = codec.encode(next!);
    expect(without(written.definition, 'metadata')).toEqual(without(encoded.definition, 'metadata'));
    expect(written.state).toMatchObject({ ...encoded.state, status: 'quarantined', reason: next?.state.reason });
  });

  it('leaves what can be read alone', () => {
    const encoded = { id: 'a', definition: DEFINITION, state: STATE };
    const record = codec.decode(encoded);
    expect(record.definition).toMatchObject({ args: [1], taskVersion: 2, owner: 'set' });
    expect(record.definition.trigger).toBeInstanceOf(IntervalTrigger);
    expect(codec.encode(record)).toEqual(encoded);
    expect(codec.decode(encoded, record.definition).definition).toBe(record.definition);
  });
});

describe('what is expected of a job', () => {
  it('is nothing in a record from before there was a choice, and takes no room in one of which nothing is', () => {
    const { consecutiveFailures: _failures, lastSuccessAt: _at, ...stats } = NO_STATS;
    const record = codec.decode({ id: 'a', definition: DEFINITION, state: { ...STATE, stats: { ...stats, succeeded: 1, lastVerdict: 'succeeded', lastFinishedAt: 900 } } });
    expect(record.definition.policy).toMatchObject({ expect: null, maxConsecutiveFailures: null });
    expect(record.state).toMatchObject({ watch: null, stats: { succeeded: 1, consecutiveFailures: 0, lastSuccessAt: 900 } });
    const written = JSON.parse(JSON.stringify(codec.encode(record))) as EncodedJob;
    expect(Object.keys(written.definition['policy'] as object)).toEqual(Object.keys(DEFINITION.policy));
    expect(Object.keys(written.state)).toEqual(Object.keys(STATE));
  });

  it('comes back as it was written', () => {
    const policy = { ...DEFINITION.policy, expect: { successWithinMs: 5, maxLatenessMs: null }, maxConsecutiveFailures: 3 };
    const watch = { since: 1, overdue: { why: 'no-success', deadline: 6, raisedAt: 7 } };
    const encoded = { id: 'a', definition: { ...DEFINITION, policy }, state: { ...STATE, watch } };
    const record = codec.decode(encoded);
    expect(record.definition.policy).toMatchObject({ expect: policy.expect, maxConsecutiveFailures: 3 });
    expect(record.state.watch).toEqual(watch);
    expect(codec.encode(record)).toEqual(encoded);
    expect(codec.decode({ ...encoded, state: { ...encoded.state, later: 1 } }).state).toMatchObject({ watch, later: 1 });
  });

  it.each([5, {}, { since: 1 }, { since: 'x', overdue: null }, { since: 1, overdue: {} }, { since: 1, overdue: { why: 'other', deadline: 1, raisedAt: 1 } }])('of another shape, it is kept, and the job goes into quarantine: %j', (watch) => {
    const encoded = { id: 'a', definition: DEFINITION, state: { ...STATE, watch } };
    const record = codec.decode(encoded);
    const { next } = decide(record, { now: 5_000, node: 'n', leaseUntil: null, process: null, slots: 1, executes: () => false });
    expect(next?.state.status).toBe('quarantined');
    expect(codec.encode(next!).state['watch']).toEqual(watch);
  });
});
