import { expect, it } from 'vitest';
import { AsyncScheduler, DateTrigger, MemoryJobStore, type JobChange, type JobStore } from '../../src/index.js';
import { BatchSize } from '../../src/scheduler/batch-size.js';
import { VirtualClock } from '../../src/testing/index.js';

it('goes to what fits into a turn, by twice or half at a time', () => {
  const batch = new BatchSize(32, 500);
  batch.took(10, 0.1);
  expect(batch.size).toBe(32);
  batch.took(32, 1);
  batch.took(64, 1);
  expect(batch.size).toBe(128);
  batch.took(128, 5);
  expect(batch.size).toBe(128);
  batch.took(128, 4);
  expect(batch.size).toBe(160);
  batch.took(160, 6.4);
  expect(batch.size).toBe(125);
  batch.took(125, 20);
  expect(batch.size).toBe(62);
  batch.took(10, 6);
  expect(batch.size).toBe(32);
  for (let i = 0; i < 9; i++) batch.took(500, 0);
  expect(batch.size).toBe(500);
  for (let i = 0; i < 9; i++) batch.took(500, 100);
  expect(batch.size).toBe(32);
  expect(new BatchSize(32, 10).size).toBe(10);
});

/** Keeps a note of how many jobs were asked for. */
class NotingStore extends MemoryJobStore {
  readonly batchSize = 2;
  readonly limits: number[] = [];
  override claimDue(request: Parameters<MemoryJobStore['claimDue']>[0]): ReturnType<MemoryJobStore['claimDue']> {
    this.limits.push(request.limit);
    return super.claimDue(request);
  }
}

/** Runs 100 jobs that are due at once, and answers how many were asked for at a time. */
async function limitsOf(store: NotingStore & JobStore, batchSize: number): Promise<number[]> {
  const clock = new VirtualClock();
  const scheduler = new AsyncScheduler({ clock, batchSize, jobStores: { default: store } });
  let runs = 0;
  await scheduler.addJobs(Array.from({ length: 100 }, () => ({ task: () => { runs += 1; }, trigger: new DateTrigger(clock.now() + 1_000) })));
  await scheduler.start();
  store.limits.length = 0;
  await clock.advance(1_000);
  await scheduler.shutdown();
  expect(runs).toBe(100);
  return [...new Set(store.limits)];
}

it('claims more at a time of a store that is quick, up to the batchSize of the scheduler', async () => {
  expect(await limitsOf(new NotingStore(), 500)).toEqual([2, 4, 8, 16, 32, 64]);
  expect(await limitsOf(new NotingStore(), 10)).toEqual([2, 4, 8, 10]);
});

/** The same, but its answers have to be waited for. */
class RemoteStore extends NotingStore {
  override claimDue(request: Parameters<MemoryJobStore['claimDue']>[0]): never {
    return Promise.resolve(super.claimDue(request)) as never;
  }
}

it('claims no more than it asks for of a store that has to be waited for', async () => {
  expect(await limitsOf(new RemoteStore(), 500)).toEqual([2]);
});

/** The same, and it is glad to be asked for more while more is due. */
class BackloggedStore extends RemoteStore {
  readonly backlogBatchSize = 16;
}

it('claims more at a time while a backlog lasts, where the store wants it', async () => {
  expect(await limitsOf(new BackloggedStore(), 500)).toEqual([2, 4, 8, 16]);
  expect(await limitsOf(new BackloggedStore(), 6)).toEqual([2, 4, 6]);
});

/** The same, and what is written to it has to be waited for, too: a batch is claimed while another is written. */
class AheadStore extends BackloggedStore {
  readonly asked: number[] = [];
  override claimDue(request: Parameters<MemoryJobStore['claimDue']>[0]): never {
    this.asked.push(request.limit);
    return super.claimDue(request);
  }
  override commit(changes: readonly JobChange[]): never {
    return Promise.resolve(super.commit(changes)) as never;
  }
}

it('goes on to claim as many when it asks ahead, before the last answer has made it more', async () => {
  const store = new AheadStore();
  await limitsOf(store, 500);
  // The answers to all but the last of these were full.
  const backlog = store.asked.slice(0, store.asked.lastIndexOf(16) + 1);
  expect(backlog.length).toBeGreaterThan(6);
  expect(backlog).toEqual([...backlog].sort((a, b) => a - b));
});

it('goes back to few once there is no backlog, or others want the same', () => {
  const batch = new BatchSize(100, 500, 400);
  const after = (jobs: number, won: number): number => {
    batch.came(batch.size, jobs, won);
    return batch.size;
  };
  expect([after(100, 100), after(200, 200), after(400, 400), after(399, 399)]).toEqual([200, 400, 400, 100]);
  expect([after(100, 100), after(200, 199), after(0, 0)]).toEqual([200, 100, 100]);
  expect(new BatchSize(100, 50, 400).size).toBe(50);
});

/** Keeps a note of how many verdicts were written at a time. */
class VerdictStore extends MemoryJobStore {
  readonly batchSize = 10;
  readonly verdicts: number[] = [];
  override commit(changes: readonly JobChange[]): ReturnType<MemoryJobStore['commit']> {
    const verdicts = changes.filter(({ ledger }) => ledger.length > 0).length;
    if (verdicts > 0) this.verdicts.push(verdicts);
    return super.commit(changes);
  }
}

it('records runs that end together a batch at a time, and lets others have their turn in between', async () => {
  const clock = new VirtualClock();
  const store = new VerdictStore();
  const scheduler = new AsyncScheduler({ clock, jobStores: { default: store } });
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => { open = resolve; });
  await scheduler.addJobs(Array.from({ length: 100 }, () => ({ task: () => gate, trigger: new DateTrigger(clock.now() + 1_000) })));
  await scheduler.start();
  await clock.advance(1_000);
  const seen = new Set<number>();
  const look = (): void => {
    seen.add(store.verdicts.length);
    if (store.verdicts.length < 4) setImmediate(look);
  };
  setImmediate(look);
  open();
  await clock.settle();
  await scheduler.shutdown();
  expect(store.verdicts).toEqual([10, 20, 40, 30]);
  expect(seen.size).toBeGreaterThan(2);
  expect(await scheduler.getRuns({ verdict: 'succeeded', limit: 200 })).toHaveLength(100);
});

it('lets a store tidy up in a turn of its own after each batch', async () => {
  const clock = new VirtualClock();
  const notes: string[] = [];
  class TidyStore extends MemoryJobStore {
    readonly batchSize = 10;
    override claimDue(request: Parameters<MemoryJobStore['claimDue']>[0]): ReturnType<MemoryJobStore['claimDue']> {
      const due = super.claimDue(request);
      if (due.length > 0) {
        notes.push(`claim ${due.length}`);
        setImmediate(() => notes.push('turn'));
      }
      return due;
    }
    betweenBatches(): boolean {
      notes.push('tidy');
      setImmediate(() => notes.push('turn'));
      return true;
    }
  }
  const scheduler = new AsyncScheduler({ clock, jobStores: { default: new TidyStore() } });
  await scheduler.addJobs(Array.from({ length: 25 }, () => ({ task: () => undefined, trigger: new DateTrigger(clock.now() + 1_000) })));
  await scheduler.start();
  await clock.advance(1_000);
  await scheduler.shutdown();
  expect(notes).toEqual(['claim 10', 'turn', 'tidy', 'turn', 'claim 15', 'turn', 'tidy', 'turn']);
});
