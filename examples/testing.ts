/**
 * How do I test my schedule without waiting for it?
 *
 * A VirtualClock moves only when told to, so a year passes in milliseconds, always in the same way. The example uses
 * node:assert; any test runner will do.
 */
import assert from 'node:assert/strict';
import { AsyncScheduler, CronTrigger, currentRun } from 'punctual';
import { VirtualClock } from 'punctual/testing';

// The code under test: it takes the scheduler and is unaware of clocks.
function addReports(scheduler: AsyncScheduler, send: (day: string) => Promise<void>): Promise<unknown> {
  return scheduler.addJob(
    () => send(currentRun().scheduledFor.toISOString()),
    new CronTrigger('0 9 * * 1-5', { timezone: 'America/New_York' }),
    { id: 'report', retry: { maxAttempts: 3, delay: { minutes: 1 }, backoff: 'fixed' } },
  );
}

// 1. A year of reports.
{
  const clock = new VirtualClock('2026-01-01T00:00:00Z');
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
  const sent: string[] = [];
  await addReports(scheduler, async (day) => void sent.push(day));
  await scheduler.start();

  const began = performance.now();
  await clock.advanceTo('2027-01-01T00:00:00Z');
  console.log(`a year, ${sent.length} reports, ${performance.now() - began < 5_000 ? 'in moments' : 'too slowly'}`);

  assert.equal(sent.length, 261);
  // Nine in New York is 14:00 UTC in winter and 13:00 UTC in summer.
  assert.equal(sent[0], '2026-01-01T14:00:00.000Z');
  assert.ok(sent.includes('2026-07-01T13:00:00.000Z'));
  assert.deepEqual((await scheduler.verifyLedger()).problems, []);
  await scheduler.shutdown();
}

// 2. Failure and retry: the second attempt comes a minute later.
{
  const clock = new VirtualClock('2026-01-05T13:59:00Z'); // a Monday
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
  let attempts = 0;
  await addReports(scheduler, async () => {
    attempts += 1;
    if (attempts === 1) throw new Error('mail server away');
  });
  await scheduler.start();

  await clock.advance({ minutes: 1 });
  assert.equal(attempts, 1);
  await clock.advance({ minutes: 1 });
  assert.equal(attempts, 2);
  const [report] = await scheduler.getRuns();
  assert.equal(report?.verdict, 'succeeded');
  assert.equal(report.attempt, 2);
  await scheduler.shutdown();
  console.log('a retry, a minute later');
}

// 3. The machine sleeps from Friday 17:00 to Monday 17:00: one run makes up for three midnights, and it knows.
{
  const clock = new VirtualClock('2026-01-09T17:00:00Z');
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
  const catchUps: boolean[] = [];
  scheduler.on('clockJump', ({ byMs }) => console.log(`the clock moved by ${byMs / 3_600_000} hours`));
  await scheduler.addJob(() => void catchUps.push(currentRun().isCatchUp), '0 0 * * *');
  await scheduler.start();

  clock.jump(3 * 86_400_000); // the wall clock moves, elapsed time does not
  await clock.settle();
  assert.deepEqual(catchUps, [true]);
  const counts = (await scheduler.verifyLedger()).counts;
  assert.equal(counts.succeeded, 1);
  assert.equal(counts.coalesced, 2);
  await scheduler.shutdown();
  console.log('three midnights asleep, one run');
}
