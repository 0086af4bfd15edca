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
}

class FakeWorkers extends WorkerExecutor {
  readonly all: Fake[];

  constructor() {
    const all: Fake[] = [];
    const start = (events: WorkerEvents): Worker => {
      const fake: Fake = { events, posted: 0, isStuck: false };
      all.push(fake);
      let isGone = false;
      const exit = (): void => {
        if (fake.isStuck || isGone) return;
        isGone = true;
        events.exited({ reason: 'exit', exitCode: 0, signal: null });
      };
      return {
        post: (message) => {
          if (message.type !== 'run') return;
          fake.posted += 1;
          queueMicrotask(() => { events.message({ punctual: 1, type: 'done', value: all.indexOf(fake) }); });
        },
        keepAlive: () => undefined,
        dismiss: exit,
        terminate: exit,
      };
    };
    const kind: WorkerKind = { name: 'fake', start, clone: () => undefined };
    super(kind, poolLimits({ maxWorkers: 2 }));
    this.all = all;
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
  workers.all[0]!.events.message({ punctual: 1, type: 'crash', error: { kind: 'value', value: 'late' } as never });
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
