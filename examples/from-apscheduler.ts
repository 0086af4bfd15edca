/**
 * How do I move from APScheduler?
 *
 * Each comment shows what the program did with APScheduler 3, the code under it what it does now. Most names are the
 * same in camelCase. A virtual clock makes the example end at once. docs/migrating.md has the whole table.
 */
import assert from 'node:assert/strict';
import {
  AndTrigger,
  AsyncExecutor,
  AsyncScheduler,
  CalendarIntervalTrigger,
  CronTrigger,
  DateTrigger,
  EVENT_JOB_ERROR,
  EVENT_JOB_EXECUTED,
  IntervalTrigger,
  MemoryJobStore,
} from 'punctual';
import { VirtualClock } from 'punctual/testing';

const clock = new VirtualClock('2026-01-01T00:00:00Z');

// AsyncIOScheduler(jobstores={'default': MemoryJobStore()}, executors={'default': ThreadPoolExecutor(20)},
//                  job_defaults={'coalesce': False, 'max_instances': 3}, timezone='Europe/Berlin')
const scheduler = new AsyncScheduler({
  clock,
  jobStores: { default: new MemoryJobStore() },
  executors: { default: new AsyncExecutor({ concurrency: 20 }) },
  jobDefaults: { coalesce: false, maxInstances: 3 },
  timezone: 'Europe/Berlin',
});

const ran: string[] = [];
const work = (what = 'work'): void => {
  if (what === 'fail') throw new Error('as asked');
  ran.push(what);
};

// scheduler.add_listener(listener, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
const heard: string[] = [];
scheduler.addListener((event) => heard.push(event.type), EVENT_JOB_EXECUTED | EVENT_JOB_ERROR);

// add_job(work, 'interval', hours=2, id='sync', args=['sync'], replace_existing=True, misfire_grace_time=300)
// misfire_grace_time is None by default here, not one second; durations say their unit.
await scheduler.addJob(work, new IntervalTrigger({ hours: 2 }), {
  id: 'sync',
  args: ['sync'],
  replaceExisting: true,
  misfireGraceTime: { minutes: 5 },
});

// add_job(work, 'cron', day_of_week='mon-fri', hour=9)     Weekday numbers are crontab's: 0 and 7 are Sunday.
await scheduler.addJob(work, new CronTrigger({ dayOfWeek: 'mon-fri', hour: 9 }), { id: 'mornings', args: ['morning'] });

// add_job(work, CronTrigger.from_crontab('0 0 1-15 may-aug *'))
await scheduler.addJob(work, '0 0 1-15 may-aug *', { id: 'summer' });

// add_job(work, 'cron', day='last fri', hour=17, jitter=120)
await scheduler.addJob(work, new CronTrigger({ day: 'last fri', hour: 17 }, { jitter: { minutes: 2 } }), {
  id: 'fridays',
});

// add_job(work, CalendarIntervalTrigger(months=1, hour=15, start_date='2026-01-31'))
const monthly = await scheduler.addJob(
  work,
  new CalendarIntervalTrigger({ months: 1, hour: 15 }, { startDate: '2026-01-31' }),
  {
    id: 'month-ends',
  },
);

// add_job(work, 'date', run_date=datetime(2026, 1, 1, 12, tzinfo=...), args=['fail'])
await scheduler.addJob(work, new DateTrigger('2026-01-01T12:00:00Z'), { id: 'once', args: ['fail'] });

// add_job(work, AndTrigger([CronTrigger(hour='*/2'), CronTrigger(hour='*/3')]))
await scheduler.addJob(work, new AndTrigger([new CronTrigger({ hour: '*/2' }), new CronTrigger({ hour: '*/3' })]), {
  id: 'both',
});

// add_job(work, ..., next_run_time=None): added paused
await scheduler.addJob(work, '@daily', { id: 'parked', paused: true });

// scheduler.start(paused=True), scheduler.resume()
await scheduler.start({ paused: true });
await scheduler.resume();

// modify_job('sync', args=['sync again']), reschedule_job('sync', trigger='interval', hours=3)
await scheduler.modifyJob('sync', { args: ['sync again'] });
await scheduler.rescheduleJob('sync', new IntervalTrigger({ hours: 3 }));

// pause_job, resume_job, remove_job, get_job, get_jobs
await scheduler.pauseJob('mornings');
await scheduler.resumeJob('mornings');
await scheduler.removeJob('summer');
assert.equal((await scheduler.getJobs()).length, 7);
assert.equal((await scheduler.getJob('parked'))?.status, 'paused');

await clock.advance({ hours: 24 });
console.log(ran.join(', '));
console.log(heard.join(', '));
assert.equal(ran.filter((what) => what === 'sync again').length, 8);
assert.equal(heard.filter((type) => type === 'jobError').length, 1);
assert.deepEqual(await monthly.nextRunTimes(2), [new Date('2026-01-31T14:00:00Z'), new Date('2026-03-31T13:00:00Z')]);

// scheduler.shutdown(wait=True)
await scheduler.shutdown({ wait: true });
