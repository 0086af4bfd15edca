import { after, CronTrigger, IntervalTrigger, type JobOptions, type TriggerInput } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, makeWorld, MINUTE, type MemoryLogger } from './support/world.js';

/** What was said of jobs that will be overdue although nothing is wrong. START is a Thursday. */
const warnings = (logger: MemoryLogger) => logger.lines.filter(({ level, message }) => level === 'warn' && message.includes('expect.successWithin')).map(({ fields }) => fields);

const within = (successWithin: number): JobOptions => ({ id: 'job', expect: { successWithin } });

describe('a job that will be overdue although nothing is wrong', () => {
  it('is warned of when it is added', async () => {
    const { scheduler, logger } = makeWorld();
    await scheduler.addJob(() => undefined, new IntervalTrigger({ hours: 1 }), within(30 * MINUTE));
    expect(warnings(logger)).toEqual([
      { jobId: 'job', jobStore: 'default', successWithinMs: 30 * MINUTE, gapMs: HOUR, gapFrom: '2026-01-01T00:00:00.000Z', gapTo: '2026-01-01T01:00:00.000Z' },
    ]);
  });

  it.each<[string, TriggerInput, number, Partial<JobOptions>?]>([
    ['an interval with no time left for the run', new IntervalTrigger({ hours: 1 }), HOUR],
    ['an interval from completion', new IntervalTrigger({ hours: 1 }, { from: 'completion' }), HOUR],
    ['working days', new CronTrigger('0 9 * * 1-5'), 25 * HOUR],
    ['working hours', '0 9-17 * * *', 2 * HOUR],
    ['a year', '@yearly', 30 * DAY],
    ['a date to come', new Date('2026-02-01T00:00:00Z'), DAY],
    ['a schedule that begins later', '@daily', 25 * HOUR, { startTime: '2026-02-01T00:00:00Z' }],
    ['a minute, and as much time for the run as none', '* * * * *', MINUTE],
  ])('is one with a schedule that leaves more time: %s', async (_, trigger, successWithin, options) => {
    const { scheduler, logger } = makeWorld();
    await scheduler.addJob(() => undefined, trigger, { ...within(successWithin), ...options });
    expect(warnings(logger)).toHaveLength(1);
  });

  it.each<[string, TriggerInput, number, Partial<JobOptions>?]>([
    ['an hour and a bit', new IntervalTrigger({ hours: 1 }), HOUR + 1],
    ['working days', new CronTrigger('0 9 * * 1-5'), 73 * HOUR],
    ['a job that ends before', '@daily', 25 * HOUR, { endTime: '2026-01-05T00:00:00Z' }],
    ['one that is added paused, and begins later', '@daily', 25 * HOUR, { paused: true, startTime: '2026-02-01T00:00:00Z' }],
  ])('is not one with a schedule that does not: %s', async (_, trigger, successWithin, options) => {
    const { scheduler, logger } = makeWorld();
    await scheduler.addJob(() => undefined, trigger, { ...within(successWithin), ...options });
    await scheduler.addJob(() => undefined, after('job'), { id: 'next', expect: { successWithin: 1 } });
    await scheduler.addJob(() => undefined, '@yearly', { id: 'late', expect: { maxLateness: 1 } });
    expect(warnings(logger)).toEqual([]);
  });

  it('is warned of when it is changed, and not for another change', async () => {
    const { scheduler, logger } = makeWorld({ jobStores: { default: new JsonJobStore() } });
    scheduler.defineTask('work', () => undefined);
    await scheduler.addJob('work', '@daily', within(25 * HOUR));
    await scheduler.modifyJob('job', { expect: { successWithin: HOUR } });
    expect(warnings(logger)).toMatchObject([{ gapMs: DAY, successWithinMs: HOUR }]);
    await scheduler.modifyJob('job', { tags: ['a'] });
    expect(warnings(logger)).toHaveLength(1);
    await scheduler.rescheduleJob('job', new IntervalTrigger({ minutes: 5 }));
    expect(warnings(logger)).toHaveLength(1);
    await scheduler.rescheduleJob('job', '@weekly');
    expect(warnings(logger)).toMatchObject([{}, { successWithinMs: HOUR }]);
    expect(logger.lines.at(-1)?.message).toContain('not longer than a time in which its trigger does not fire');
  });

  it('is warned of once when a program adds it again at each start, and again when it says something else', async () => {
    const store = new JsonJobStore();
    const starts = async (trigger: string, hours: number, tag: string): Promise<number> => {
      const { clock, scheduler, logger } = makeWorld({ jobStores: { default: store } });
      scheduler.defineTask('work', () => undefined);
      await scheduler.addJob('work', trigger, { ...within(hours * HOUR), replaceExisting: true, tags: [tag] });
      await scheduler.addJobs([{ task: 'work', trigger, ...within(hours * HOUR), replaceExisting: true, tags: [tag] }]);
      await scheduler.start();
      await clock.advance(MINUTE);
      await scheduler.shutdown();
      return warnings(logger).length;
    };
    expect(await starts('0 9 * * 1-5', 25, 'first')).toBe(1);
    expect(await starts('0 9 * * 1-5', 25, 'second')).toBe(0);
    expect(await starts('0 9 * * 1-5', 26, 'second')).toBe(1);
    expect(await starts('0 10 * * 1-5', 26, 'second')).toBe(1);
    expect(await starts('0 10 * * 1-5', 26, 'third')).toBe(0);
  });

  it('is warned of when it is synchronized', async () => {
    const { scheduler, logger } = makeWorld({ jobStores: { default: new JsonJobStore() } });
    scheduler.defineTask('work', () => undefined);
    const define = (trigger: string) => scheduler.sync([{ id: 'job', task: 'work', trigger, expect: { successWithin: 25 * HOUR } }], { owner: 'me' });
    await define('@hourly');
    expect(warnings(logger)).toEqual([]);
    await define('@weekly');
    await define('@weekly');
    expect(warnings(logger)).toHaveLength(1);
  });

  it('is rare: a trigger that fails says so elsewhere', async () => {
    const { scheduler, logger } = makeWorld();
    let calls = 0;
    // It answers what is needed to add it, and fails when it is looked at further.
    const fragile = { kind: 'fragile', next: (from: number) => { if (++calls > 2) throw new Error('no more'); return from + HOUR; }, toJSON: () => ({ kind: 'fragile', v: 1 }) };
    await scheduler.addJob(() => undefined, fragile, within(2 * HOUR));
    expect(calls).toBeGreaterThan(2);
    expect(warnings(logger)).toEqual([]);
  });
});
