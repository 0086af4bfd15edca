import { AsyncScheduler, currentRun, IntervalTrigger, type Trigger } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';

const START = Date.UTC(2026, 0, 1);

/** The same instants without `previous` and `count`, as a user's own trigger may well be. */
function plain(trigger: Trigger): Trigger {
  return { kind: 'plain', next: (after) => trigger.next(after), toJSON: () => ({ kind: 'plain', v: 1 }) };
}

const interval = new IntervalTrigger({ seconds: 3 }, { startTime: START });

it.each([
  ['with previous()', interval],
  ['without previous()', plain(interval)],
] as const)('catching up never goes past the job’s end: a trigger %s', async (_, trigger) => {
  const clock = new VirtualClock(START + 1);
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
  const fired: number[] = [];
  await scheduler.addJob(() => { fired.push((currentRun().scheduledFor.getTime() - START) / 1_000); }, trigger, {
    id: 'job',
    coalesce: 'all',
    endTime: START + 10_000,
  });
  clock.jump(3_600_000);
  await scheduler.start();
  await clock.advance(1_000);
  expect(fired).toEqual([3, 6, 9]);
  expect((await scheduler.getRuns({ jobId: 'job' })).map((run) => run.scheduledFor.getTime() - START)).toEqual([3_000, 6_000, 9_000]);
  await scheduler.shutdown();
});
