/**
 * How do I see what my jobs do: counters, a health check, a live feed?
 *
 * Events are plain data with the job's id, the fire time and the reason. Nothing is skipped, missed or merged without one.
 */
import assert from 'node:assert/strict';
import {
  AsyncScheduler,
  EVENT_ALL,
  EVENT_JOB_ERROR,
  EVENT_JOB_MISSED,
  EVENT_JOB_SKIPPED,
  IntervalTrigger,
} from 'punctual';
import { VirtualClock } from 'punctual/testing';

const clock = new VirtualClock('2026-03-01T00:00:00Z'); // real code leaves the clock out
const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });

// 1. Counters, as a metrics library wants them. One listener for all events.
const counters = new Map<string, number>();
scheduler.addListener(({ type }) => counters.set(type, (counters.get(type) ?? 0) + 1), EVENT_ALL);

// 2. Durations, by job.
const slowest = new Map<string, number>();
scheduler.on('jobExecuted', ({ jobId, durationMs }) => {
  slowest.set(jobId, Math.max(slowest.get(jobId) ?? 0, durationMs));
});

// 3. Alarms: only what went wrong. The mask works as in APScheduler.
const alarms: string[] = [];
scheduler.addListener(
  (event) => {
    if (event.type === 'jobError') alarms.push(`${event.jobId}: ${event.error.message}`);
    else if (event.type === 'jobMissed') alarms.push(`${event.jobId}: ${event.count} missed, ${event.reason}`);
    else if (event.type === 'jobOverdue') alarms.push(`${event.jobId}: overdue, ${event.why}`); // told even if nobody runs it
  },
  EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_SKIPPED,
);

// 4. A live feed. It ends with the scheduler, and keeps up to `limit` events while the reader is busy.
const feed: string[] = [];
const reading = (async () => {
  for await (const event of scheduler.events({ types: ['jobMaxInstances', 'jobError'], limit: 1_000 })) {
    const time = new Date(event.at).toISOString().slice(11, 19);
    if (event.type === 'jobMaxInstances') {
      feed.push(
        `${time} ${event.jobId} held back by ${event.blockedBy.length} run, ${event.blockedBy[0]?.ageMs ?? 0} ms old`,
      );
    } else {
      feed.push(`${time} ${event.jobId} failed on attempt ${event.attempt}`);
    }
  }
})();

// Two jobs with trouble: one takes longer than its interval, one fails now and then.
let calls = 0;
await scheduler.addJob(() => clock.sleep({ seconds: 90 }), new IntervalTrigger({ minutes: 1 }), {
  id: 'slow',
  expect: { successWithin: { seconds: 140 } },
});
await scheduler.addJob(
  () => {
    calls += 1;
    if (calls % 3 === 0) throw new Error('no connection');
  },
  new IntervalTrigger({ minutes: 1 }),
  { id: 'flaky' },
);
await scheduler.start();
await clock.advance({ minutes: 6 });

// 5. Health: at once, without asking the stores. For a load balancer: 200 when ok, else 503.
const { ok, state, jobStores } = scheduler.health();
console.log(`health: ok ${ok}, ${state}, ${jobStores['default']?.activeRuns ?? 0} run going on`);
assert.ok(ok);

const stopping = scheduler.shutdown();
await clock.advance({ minutes: 2 });
await stopping;
await reading;

console.log('counters:', Object.fromEntries([...counters].sort()));
console.log('slowest run of "slow":', slowest.get('slow'), 'ms');
console.log(`alarms: ${alarms.join('; ')}`);
console.log(`feed:\n  ${feed.join('\n  ')}`);
assert.equal(counters.get('jobMaxInstances'), 3);
assert.equal(counters.get('jobError'), 2);
assert.deepEqual(alarms, ['slow: overdue, no-success', 'flaky: no connection', 'flaky: no connection']);
assert.equal(feed.length, 5);
