/**
 * How do I move from croner?
 *
 * Each comment shows what the program did with croner, the code under it what it does now. A virtual clock makes the
 * example end at once. docs/migrating.md has the whole table.
 */
import assert from 'node:assert/strict';
import { AsyncScheduler, CronTrigger } from 'punctual';
import { VirtualClock } from 'punctual/testing';

const clock = new VirtualClock('2026-01-01T00:00:00Z');
const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
const ran: string[] = [];

// new Cron('0 0 * * 7').nextRuns(3), .match(date), without running anything: a trigger needs no scheduler.
const sundays = new CronTrigger('0 0 * * 7', { timezone: 'UTC' });
const next: Date[] = [];
for (let at = sundays.next(clock.now()); at !== null && next.length < 3; at = sundays.next(at)) next.push(new Date(at));
console.log('Sundays:', next.map((day) => day.toISOString().slice(0, 10)).join(', '));
const noon = Date.parse('2026-01-04T12:00:00Z');
assert.equal(sundays.next(noon - 1) === noon, false); // a Sunday, but not midnight

// new Cron('*/5 * * * * *', { protect: true, catch: true, maxRuns: 3 }, fn)
// protect is the default, and so is catch: an error becomes an event, and the job goes on.
const job = await scheduler.addJob(
  () => {
    ran.push('tick');
    if (ran.length === 1) throw new Error('it fails once');
  },
  '*/5 * * * * *',
  { id: 'tick', maxRuns: 3 },
);
scheduler.on('jobError', ({ jobId, error }) => console.log(`${jobId}: ${error.message}`));

// new Cron('2026-01-01T12:00:00', { timezone: 'Asia/Kolkata' }, fn): a local time needs an offset here.
await scheduler.addJob(() => void ran.push('noon in Kolkata'), new Date('2026-01-01T12:00:00+05:30'), { id: 'once' });

// new Cron('0 * * * *', { startAt, stopAt, context, paused, name }, fn). stopAt is exclusive, endTime inclusive.
await scheduler.addJob((context: string) => void ran.push(context), '0 * * * *', {
  id: 'hourly',
  args: ['the context'],
  startTime: '2026-01-01T02:00:00Z',
  endTime: '2026-01-01T03:59:59Z',
});

// new Cron('30 2 * * *', { timezone: 'Europe/Berlin', fixedTimeRule: 'no-wildcard' }, fn)
// Its rule for daylight saving is nearly our default, 'vixie'.
const berlin = new CronTrigger('30 2 * * *', { timezone: 'Europe/Berlin' });
assert.equal(new Date(berlin.next(Date.parse('2026-03-28T12:00:00Z'))!).toISOString(), '2026-03-29T01:00:00.000Z');

// new Cron('0 0 13 * 5', { domAndDow: true }, fn): the object form wants all fields to match.
const fridays = new CronTrigger({ day: 13, dayOfWeek: 'fri' }, { timezone: 'UTC' });
assert.equal(new Date(fridays.next(clock.now())!).toISOString(), '2026-02-13T00:00:00.000Z');

await scheduler.start(); // croner starts each job by itself; a scheduler starts them together

// job.pause(), job.resume(), job.trigger(), job.isBusy(), job.nextRun()
await job.pause();
await job.resume();
await (await scheduler.runJob('tick')).result().catch(() => undefined);
assert.equal((await job.refresh())?.runs.length, 0);
assert.deepEqual(job.nextRunTime, new Date('2026-01-01T00:00:05Z'));

await clock.advance({ hours: 12 });
console.log(ran.join(', '));
assert.deepEqual(ran, ['tick', 'tick', 'tick', 'tick', 'the context', 'the context', 'noon in Kolkata']);

// job.stop() for each of scheduledJobs
await scheduler.shutdown();
