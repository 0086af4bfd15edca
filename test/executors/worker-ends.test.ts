import { AsyncScheduler, type Logger } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';
import { poolLimits } from '../../src/executors/workers/options.js';
import type { Worker, WorkerEvents, WorkerKind } from '../../src/executors/workers/worker.js';
import { WorkerExecutor } from '../../src/executors/workers/worker-executor.js';

/** A worker as a test wants it: it answers at once, and ends when it is told to, unless it is stuck. */
interface Fake {
  readonly events: WorkerEvents;
  posted: number;
  isStuck: boolean;
  /** It is gone, and nobody knows yet: what it is given, it never gets. */
  isDead: boolean;
}

class FakeWorkers extends WorkerExecutor {
  readonly all: Fake[];
  readonly made: { areDead: boolean };

  constructor() {
    const made = { areDead: false };
    const all: Fake[] = [];
    const start = (events: WorkerEvents): Worker => {
      const fake: Fake = { events, posted: 0, isStuck: false, isDead: made.areDead };
      all.push(fake);
      let isGone = false;
      let begun = 0;
      const exit = (): void => {
        if (fake.isStuck || isGone) return;
        isGone = true;
        events.exited({ reason: 'exit', exitCode: 0, signal: null });
      };
      return {
        post: (message) => {
          if (message[1] !== 'run') return;
          fake.posted += 1;
          if (fake.isDead) return;
          begun += 1;
          queueMicrotask(() => { events.message(['punctual', 'done', all.indexOf(fake)]); });
        },
        keepAlive: () => undefined,
        dismiss: exit,
        terminate: exit,
        get begun() {
          return begun;
        },
      };
    };
    const kind: WorkerKind = { name: 'fake', start, clone: () => undefined };
    super(kind, poolLimits({ maxWorkers: 2 }));
    this.all = all;
    this.made = made;
  }
}

function world(): { clock: VirtualClock; scheduler: AsyncScheduler; workers: FakeWorkers; errors: string[] } {
  const clock = new VirtualClock('2026-01-01T00:00:00Z');
  const workers = new FakeWorkers();
  const errors: string[] = [];
  const silent = (): void => undefined;
  const logger: Logger = { debug: silent, info: silent, warn: silent, error: (message) => { errors.push(message); } };
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', logger, executors: { fake: workers } });
  scheduler.defineTask('work', { module: new URL('file:///work.js') }, { executor: 'fake' });
  return { clock, scheduler, workers, errors };
}

it('gives no run to a worker that has told of its end', async () => {
  const { clock, scheduler, workers } = world();
  await scheduler.start();
  const first = await scheduler.enqueue('work');
  await clock.settle();
  expect(await first.result()).toBe(0);
  // What its last run left behind has thrown, and its end is still to come.
  workers.all[0]!.events.message(['punctual', 'crash', { kind: 'value', value: 'late' }]);
  const second = await scheduler.enqueue('work');
  await clock.settle();
  expect(await second.result()).toBe(1);
  expect(workers.all.map(({ posted }) => posted)).toEqual([1, 1]);
  workers.all[0]!.events.exited({ reason: 'uncaughtException', exitCode: 1, signal: null });
  await scheduler.shutdown();
});

it('shuts down although a worker does not end, and says so', async () => {
  const { clock, scheduler, workers, errors } = world();
  await scheduler.start();
  const run = await scheduler.enqueue('work');
  await clock.settle();
  await run.result();
  workers.all[0]!.isStuck = true;
  let isDown = false;
  void scheduler.shutdown().then(() => { isDown = true; });
  await clock.advance(10_000);
  expect(isDown).toBe(true);
  expect(errors).toEqual(['some fake does not end; it is left behind']);
});

it('gives a run to another worker when the one that waited for it turns out to have ended', async () => {
  const { clock, scheduler, workers } = world();
  await scheduler.start();
  const first = await scheduler.enqueue('work');
  await clock.settle();
  expect(await first.result()).toBe(0);
  workers.all[0]!.isDead = true;
  const second = await scheduler.enqueue('work');
  await clock.settle();
  expect(workers.all.map(({ posted }) => posted)).toEqual([2]);
  workers.all[0]!.events.exited({ reason: 'signal', exitCode: null, signal: 'SIGKILL' });
  await clock.settle();
  expect(await second.result()).toBe(1);
  expect(workers.free).toBe(2);
  expect((await scheduler.getRuns()).map(({ verdict, attempt }) => [verdict, attempt])).toEqual([['succeeded', 1], ['succeeded', 1]]);
  await scheduler.shutdown();
});

it('fails a run whose worker was made for it and ended before it began: the next would as well', async () => {
  const { clock, scheduler, workers } = world();
  await scheduler.start();
  workers.made.areDead = true;
  const run = await scheduler.enqueue('work');
  await clock.settle();
  workers.all[0]!.events.exited({ reason: 'exit', exitCode: 9, signal: null });
  await expect(run.result()).rejects.toMatchObject({ code: 'WORKER_CRASHED', exitCode: 9 });
  expect(workers.all).toHaveLength(1);
  await scheduler.shutdown();
});

it('keeps a worker for as long as it may be idle since its last run, not since an earlier one', async () => {
  const { clock, scheduler } = world();
  await scheduler.start();
  const run = async (): Promise<unknown> => {
    const handle = await scheduler.enqueue('work');
    await clock.settle();
    return handle.result();
  };
  expect(await run()).toBe(0);
  await clock.advance(59_000);
  expect(await run()).toBe(0);
  await clock.advance(59_000);
  expect(await run()).toBe(0);
  await clock.advance(61_000);
  expect(await run()).toBe(1);
  await scheduler.shutdown();
});
