import {
  AsyncScheduler,
  currentRun,
  MemoryJobStore,
  type JobChange,
  type MaybePromise,
  type Revision,
  type SchedulerOptions,
} from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';

const START = Date.UTC(2026, 0, 1);

/** A shared store whose commits can be made to fail, or to be answered late. */
class SlowStore extends MemoryJobStore {
  readonly #clock: VirtualClock;
  answersAfterMs = 0;
  isDown = false;
  /** So many commits more meet somebody else's change. */
  conflicts = 0;

  constructor(clock: VirtualClock) {
    super({ shared: true });
    this.#clock = clock;
  }

  override commit(changes: readonly JobChange[]): (Revision | undefined)[] {
    if (this.isDown) throw new Error('down');
    if (this.conflicts > 0) {
      this.conflicts -= 1;
      return changes.map(() => undefined);
    }
    const answers = super.commit(changes);
    if (this.answersAfterMs === 0) return answers;
    const late: MaybePromise<(Revision | undefined)[]> = this.#clock.sleep(this.answersAfterMs).then(() => answers);
    return late as unknown as (Revision | undefined)[];
  }
}

function schedulerOn(clock: VirtualClock, jobStore: MemoryJobStore | JsonJobStore, options: SchedulerOptions = {}): AsyncScheduler {
  const silent = (): void => undefined;
  return new AsyncScheduler({
    clock,
    timezone: 'UTC',
    jobStores: { default: jobStore },
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    ...options,
  });
}

it('keeps a short lease through conflicts with other writers of its record', async () => {
  const clock = new VirtualClock(START);
  const jobStore = new SlowStore(clock);
  const scheduler = schedulerOn(clock, jobStore, { node: 'node', leaseDuration: 1_000 });
  let lost = 0;
  scheduler.on('leaseLost', () => { lost += 1; });
  scheduler.defineTask('work', () => clock.sleep(1_500));
  await scheduler.addJob('work', new Date(START + 1_000), { id: 'job' });
  await scheduler.start();
  await clock.advance(1_300);
  jobStore.conflicts = 6;
  await clock.advance(2_000);
  expect(jobStore.conflicts).toBe(0);
  expect(lost).toBe(0);
  expect((await scheduler.getRuns({ jobId: 'job' })).map(({ verdict }) => verdict)).toEqual(['succeeded']);
  await scheduler.shutdown();
});

it('takes over the run of a process that died, from a durable store only one process uses', async () => {
  const jobStore = new JsonJobStore({ shared: false });
  const attempts: string[] = [];
  const work = (clock: VirtualClock, node: string) => (): Promise<void> => {
    attempts.push(`${node}/${currentRun().attempt}`);
    return clock.sleep(node === 'first' ? { hours: 1 } : 10);
  };
  const firstClock = new VirtualClock(START);
  const first = schedulerOn(firstClock, jobStore, { node: 'first' });
  first.defineTask('work', work(firstClock, 'first'));
  await first.addJob('work', new Date(START + 1_000), { id: 'job' });
  await first.start();
  await firstClock.advance(2_000); // and from here on the first process is no more

  await jobStore.close();
  const secondClock = new VirtualClock(START + 5_000);
  const second = schedulerOn(secondClock, jobStore, { node: 'second' });
  second.defineTask('work', work(secondClock, 'second'));
  const abandoned: string[] = [];
  second.on('jobAbandoned', ({ owner, node }) => abandoned.push(`${owner}, says ${node}`));
  await second.start();
  await secondClock.advance(20_000);
  expect(attempts).toEqual(['first/1', 'second/2']);
  expect(abandoned).toEqual(['first, says second']);
  expect((await second.getRuns()).map(({ verdict, attempt }) => [verdict, attempt])).toEqual([['succeeded', 2]]);
  await second.shutdown();
});

it('does not trust a lease for longer because something else of the job was written', async () => {
  const clock = new VirtualClock(START);
  const store = new SlowStore(clock);
  const scheduler = schedulerOn(clock, store, { leaseDuration: 1_000 });
  let signal: AbortSignal | undefined;
  await scheduler.addJob(
    () => {
      ({ signal } = currentRun());
      return clock.sleep(60_000);
    },
    new Date(START + 1_000),
    { id: 'job' },
  );
  await scheduler.start();
  await clock.advance(1_000 + 660); // renewed at a third of the lease: until 1,000 ms after that
  await scheduler.modifyJob('job', { name: 'changed' });
  store.isDown = true;
  await clock.advanceTo(START + 1_000 + 333 + 999);
  expect(signal?.aborted).toBe(true);
  await clock.advance(60_000);
  await scheduler.shutdown({ timeout: 0 });
});

it('does not begin a run whose lease is over by the time the store answers', async () => {
  const clock = new VirtualClock(START);
  const store = new SlowStore(clock);
  const scheduler = schedulerOn(clock, store, { leaseDuration: 1_000 });
  const started: number[] = [];
  await scheduler.addJob(() => { started.push(currentRun().attempt); }, new Date(START + 1_000), { id: 'job' });
  await scheduler.start();
  store.answersAfterMs = 1_200;
  await clock.advance(1_500);
  store.answersAfterMs = 0;
  await clock.advance(60_000);
  expect(started).toEqual([2]);
  await scheduler.shutdown();
});

it('keeps its leases although the store leaves one write without an answer', async () => {
  const clock = new VirtualClock(START);
  const store = new SlowStore(clock);
  const scheduler = schedulerOn(clock, store, { leaseDuration: 3_000, storeTimeout: 10_000 });
  const ended: string[] = [];
  const add = (id: string, ms: number): Promise<unknown> =>
    scheduler.addJob(
      async () => {
        const { signal } = currentRun();
        await clock.sleep(ms);
        ended.push(`${id}${signal.aborted ? ' aborted' : ''}`);
      },
      new Date(START + 1_000),
      { id },
    );
  await add('short', 500);
  await add('long', 9_000);
  await scheduler.start();
  await clock.advance(1_400);
  store.answersAfterMs = 1e9; // the end of the short one
  await clock.advance(200);
  store.answersAfterMs = 0;
  await clock.advance(10_000);
  expect(ended).toEqual(['short', 'long']);
  expect((await scheduler.getRuns()).map(({ jobId, verdict, attempt }) => [jobId, verdict, attempt])).toEqual([
    ['short', 'succeeded', 1],
    ['long', 'succeeded', 1],
  ]);
  await scheduler.shutdown();
});

it('records what it has to soon after an outage, however long that was', async () => {
  const clock = new VirtualClock(START);
  const store = new SlowStore(clock);
  const scheduler = schedulerOn(clock, store, { leaseDuration: 3_000 });
  await scheduler.addJob(() => clock.sleep(1_000), new Date(START + 1_000), { id: 'job' });
  await scheduler.start();
  await clock.advance(1_500);
  store.isDown = true;
  await clock.advance(300_000);
  store.isDown = false;
  await clock.advance(1_100);
  expect((await scheduler.getRuns()).map(({ verdict }) => verdict)).toEqual(['succeeded']);
  await scheduler.shutdown();
});

it('counts the store’s time on the monotonic clock: setting this machine’s clock changes nothing', async () => {
  const clock = new VirtualClock(START - 3_600_000); // an hour slow
  const truth = (): number => START + clock.monotonic();
  const store = Object.assign(new MemoryJobStore({ shared: true }), { now: truth });
  const scheduler = schedulerOn(clock, store);
  const fired: number[] = [];
  await scheduler.start();
  await scheduler.addJob(() => { fired.push(truth() - START); }, '*/10 * * * * *', { id: 'job' });
  await clock.advance(20_000);
  clock.jump(-3_600_000);
  await scheduler.rescheduleJob('job', '5/10 * * * * *');
  await clock.advance(20_000);
  expect(fired).toEqual([10_000, 20_000, 25_000, 35_000]);
  await scheduler.shutdown();
});

it('prefers the store’s quick answers about the time to its slow ones', async () => {
  const clock = new VirtualClock(START);
  let slowMs = 0;
  const store = Object.assign(new MemoryJobStore({ shared: true }), {
    // All of the delay is on the way there: the worst case for a guess at the middle.
    now: async (): Promise<number> => {
      if (slowMs > 0) await clock.sleep(slowMs);
      return START + clock.monotonic();
    },
  });
  const scheduler = schedulerOn(clock, store, { leaseDuration: 1_000, maxSleep: 1_000 });
  const early: number[] = [];
  await scheduler.start();
  await scheduler.addJob(() => { early.push(clock.monotonic() % 1_000); }, '* * * * * *', { id: 'job' });
  slowMs = 300;
  await clock.advance(20_000);
  // Asking takes its time, but never makes it fire early.
  expect(early.length).toBeGreaterThan(5);
  expect(early.filter((ms) => ms > 900)).toEqual([]);
  slowMs = 0;
  await clock.advance(2_000);
  await scheduler.shutdown();
});

it('waits no longer for what a dead process has claimed than for what it ran', async () => {
  const clock = new VirtualClock(START);
  const store = new MemoryJobStore({ shared: true });
  // It dies between the claim and the commit: nothing of it arrives any more.
  let isDead = false;
  const dying = new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        isDead ||= key === 'commit';
        return isDead ? new Promise(() => undefined) : (value as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  const startedAt: number[] = [];
  const [dead, alive] = [dying, store].map((jobStore, index) => {
    const node = schedulerOn(clock, jobStore, { node: `node ${index}`, leaseDuration: { seconds: 1 } });
    node.defineTask('work', () => startedAt.push(clock.now() - START));
    return node;
  }) as [AsyncScheduler, AsyncScheduler];
  await alive.addJob('work', new Date(START + 10_000), { id: 'job' });
  await dead.start();
  await clock.advance(10_000);
  expect(isDead).toBe(true);
  await alive.start();
  await clock.advance(20_000);
  expect(startedAt).toHaveLength(1);
  expect(startedAt[0]).toBeLessThanOrEqual(10_000 + 1_000 + 100);
});

it.each([
  ['lives on meanwhile', true],
  ['starts later', false],
])('a lease that was written while the clock was ahead lasts no longer, where another node %s', async (_, lives) => {
  const AHEAD = 3_600_000;
  const clock = new VirtualClock(START);
  const jobStore = new JsonJobStore();
  const attempts: string[] = [];
  const node = (name: string): AsyncScheduler => {
    const scheduler = schedulerOn(clock, jobStore, { node: name });
    scheduler.defineTask('work', () => {
      attempts.push(`${name}/${currentRun().attempt}`);
      return name === 'dying' ? clock.sleep({ hours: 1 }, currentRun().signal) : undefined;
    });
    return scheduler;
  };
  const dying = node('dying');
  await dying.addJob('work', new Date(START + AHEAD + 5_000), { id: 'job' });
  await dying.start();
  clock.jump(AHEAD);
  await clock.advance(5_000);
  const { record } = (await jobStore.get('job'))!;
  await dying.shutdown({ wait: false });
  // As if it had died instead, with its lease as it was.
  await jobStore.commit([{ id: 'job', expected: (await jobStore.get('job'))!.revision, next: record, ledger: [] }]);
  const other = node('other');
  if (lives) await other.start();
  clock.jump(-AHEAD);
  if (!lives) await other.start();
  await clock.advance(16_000);
  expect(attempts).toEqual(['dying/1', 'other/2']);
  await other.shutdown();
});
