/**
 * How do I move from node-cron?
 *
 * Each comment shows what the program did with node-cron 4, the code under it what it does now. A virtual clock makes
 * the example end at once. docs/migrating.md has the whole table.
 */
import assert from 'node:assert/strict';
import { AsyncScheduler, CronTrigger, currentRun } from 'punctual';
import { VirtualClock } from 'punctual/testing';

const clock = new VirtualClock('2026-01-01T00:00:00Z');
const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
const ran: string[] = [];
const backup = (): void => void ran.push(`backup ${currentRun().scheduledFor.toISOString()}`);

// cron.schedule('0 3 * * *', backup, { name: 'nightly', timezone: 'America/Sao_Paulo', noOverlap: true })
// A job never overlaps itself unless told to: maxInstances is 1.
const nightly = await scheduler.addJob(backup, new CronTrigger('0 3 * * *', { timezone: 'America/Sao_Paulo' }), {
  id: 'nightly',
});

// noOverlap left out
await scheduler.addJob(backup, '30 3 * * *', { id: 'may-overlap', overlap: 'allow' });

// { maxExecutions: 2, maxRandomDelay: 30_000 }
// The delay is the same for one job and fire time on every machine, and never reaches the next fire time.
await scheduler.addJob(backup, '0 4 * * *', { id: 'twice', maxRuns: 2, jitter: { seconds: 30 } });

// cron.createTask(...), started later with task.start()
const later = await scheduler.addJob(backup, '0 5 * * *', { id: 'later', paused: true });

// Day of month and day of week: node-cron wants both to match. Crontab, and punctual's strings, take either.
// The object form takes both: Fridays the 13th.
const fridays = await scheduler.addJob(backup, new CronTrigger({ day: 13, dayOfWeek: 'fri', hour: 9 }), {
  id: 'friday-13th',
});

// task.on('execution:failed', …), task.on('execution:overlap', …)
scheduler.on('jobError', ({ jobId, error }) => console.error(jobId, error.message));
scheduler.on('jobMaxInstances', ({ jobId, action }) => console.warn(jobId, action));

await scheduler.start(); // node-cron starts each task by itself; a scheduler starts them together

// task.getNextRun(), task.getNextRuns(3)
assert.deepEqual(nightly.nextRunTime, new Date('2026-01-01T06:00:00Z'));
assert.deepEqual(
  await fridays.nextRunTimes(3),
  ['2026-02-13', '2026-03-13', '2026-11-13'].map((day) => new Date(`${day}T09:00:00Z`)),
);

// task.stop(), task.start(), task.execute(), task.destroy()
await nightly.pause();
await nightly.resume();
await (await later.run()).result();
await later.remove();

await clock.advance({ days: 3 });
assert.equal(ran.filter((line) => line.includes('T06:00')).length, 3);
assert.equal(await scheduler.getJob('twice'), undefined); // complete after its second run

// task.lastRun()
const [last] = await scheduler.getRuns({ jobId: 'nightly', newestFirst: true, limit: 1 });
console.log('last run of the nightly backup:', last?.scheduledFor.toISOString(), last?.verdict);

// cron.shutdown(10_000)
await scheduler.shutdown({ timeout: { seconds: 10 } });
console.log(`${ran.length} runs`);
