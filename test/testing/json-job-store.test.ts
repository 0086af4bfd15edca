import { AsyncScheduler, currentRun, isPunctualError } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';

function schedulerOn(jobStore: JsonJobStore, clock: VirtualClock): AsyncScheduler {
  return new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: jobStore } });
}

it('is durable: a closure, a missing id and arguments that cannot be stored are refused', async () => {
  const scheduler = schedulerOn(new JsonJobStore(), new VirtualClock());
  scheduler.defineTask('work', () => undefined);
  const codeOf = async (adding: Promise<unknown>): Promise<unknown> => {
    const error: unknown = await adding.then(() => undefined, (reason: unknown) => reason);
    return isPunctualError(error) ? error.code : error;
  };
  expect(await codeOf(scheduler.addJob(() => undefined, '* * * * *', { id: 'a' }))).toBe('JOB_UNSTORABLE');
  expect(await codeOf(scheduler.addJob('work', '* * * * *'))).toBe('JOB_UNSTORABLE');
  expect(await codeOf(scheduler.addJob('work', '* * * * *', { id: 'a', args: [() => undefined] }))).toBe('JOB_UNSTORABLE');
  expect(await scheduler.getJobs()).toEqual([]);
  await scheduler.shutdown();
});

it('keeps what the next start of the program finds: jobs, arguments, cursor and history', async () => {
  const jobStore = new JsonJobStore();
  const clock = new VirtualClock('2026-01-01T00:00:00Z');
  const seen: unknown[] = [];
  const work = (label: string): void => { seen.push([label, currentRun().scheduledFor.toISOString().slice(11, 19)]); };
  const before = schedulerOn(jobStore, clock);
  before.defineTask('work', work);
  await before.addJob('work', '0 * * * *', { id: 'hourly', args: ['first'] });
  await before.start();
  await clock.advance({ hours: 1 });
  await before.shutdown();

  const after = schedulerOn(jobStore, clock);
  after.defineTask('work', work);
  await after.start();
  await clock.advance({ hours: 1 });
  expect(seen).toEqual([['first', '01:00:00'], ['first', '02:00:00']]);
  expect((await after.getRuns({ jobId: 'hourly' })).map(({ verdict }) => verdict)).toEqual(['succeeded', 'succeeded']);
  expect(await after.verifyLedger()).toMatchObject({ ok: true });
  await after.shutdown();
});

it('says what is missing when it is used before it is opened', async () => {
  await expect(new JsonJobStore().insert([{} as never])).rejects.toThrow(/storeContext/);
});
