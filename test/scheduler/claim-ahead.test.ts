import { AsyncScheduler, DateTrigger, MemoryJobStore, type ClaimRequest, type ClaimScope, type JobChange, type StoredJob } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { beforeEach, describe, expect, it } from 'vitest';

const ROUND_TRIP_MS = 10;

/** Answers a round trip later than it is asked, and keeps a note of when it is asked for what. */
class RemoteStore extends MemoryJobStore {
  batchSize = 2;
  readonly notes: string[] = [];
  failCommits = 0;
  commitMs = ROUND_TRIP_MS;
  readonly #clock: VirtualClock;
  readonly #start: number;

  constructor(clock: VirtualClock) {
    super();
    this.#clock = clock;
    this.#start = clock.now();
  }

  override claimDue(request: ClaimRequest): StoredJob[] {
    const answer = super.claimDue(request);
    return this.#later(`claim ${answer.length}`, () => answer);
  }
  override commit(changes: readonly JobChange[]): ReturnType<MemoryJobStore['commit']> {
    const starts = changes.filter(({ next }) => next?.state.runs.length === 1).length;
    const fails = starts > 0 && (this.failCommits -= 1) >= 0;
    return this.#later(`${starts > 0 ? 'start' : 'finish'} ${changes.length}`, () => {
      if (fails) throw new Error('away');
      return super.commit(changes);
    }, this.commitMs);
  }
  override nextWakeAt(scope: ClaimScope): ReturnType<MemoryJobStore['nextWakeAt']> {
    return this.#later('next', () => super.nextWakeAt(scope));
  }

  #later<T>(what: string, answer: () => T, ms = ROUND_TRIP_MS): T {
    this.notes.push(`${this.#clock.now() - this.#start}: ${what}`);
    return this.#clock.sleep(ms).then(answer) as unknown as T;
  }
}

let clock: VirtualClock;
let store: RemoteStore;
let scheduler: AsyncScheduler;
const ran: string[] = [];

beforeEach(() => {
  clock = new VirtualClock();
  store = new RemoteStore(clock);
  scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: store }, batchSize: 2 });
  ran.length = 0;
});

/** Jobs of which all are due a second after the start. */
async function start(jobs: number): Promise<void> {
  const trigger = new DateTrigger(new Date(clock.now() + 1_000));
  for (let i = 0; i < jobs; i++) await scheduler.addJob(() => void ran.push(`job-${i}`), trigger, { id: `job-${i}` });
  const started = scheduler.start();
  await clock.advance(500);
  await started;
  store.notes.length = 0;
}

/** What the loop asked. Results are recorded beside it. */
function questions(): string[] {
  return store.notes.filter((note) => !note.includes('finish'));
}

async function end(): Promise<void> {
  const down = scheduler.shutdown();
  await clock.advance({ seconds: 1 });
  await down;
}

describe('what is due in a store that takes its time', () => {
  it('is claimed while the batches before are being written, once one was begun quickly, until a batch is not full', async () => {
    store.commitMs = 20;
    await start(9);
    await clock.advance(700);
    expect(questions()).toEqual([
      '1000: claim 2',
      '1010: start 2',
      '1030: claim 2',
      '1040: start 2',
      '1040: claim 2',
      '1050: start 2',
      '1050: claim 2',
      '1060: start 2',
      '1060: claim 1',
      '1070: start 1',
      '1090: next',
    ]);
    expect(ran).toHaveLength(9);
    await end();
  });

  it('is left to others while this process is busy with what it has', async () => {
    const trigger = new DateTrigger(new Date(clock.now() + 1_000));
    // What takes its time without letting go of the event loop.
    const busy = (): void => { monotonic += 50; };
    let monotonic = 0;
    const real = clock.monotonic.bind(clock);
    clock.monotonic = () => real() + monotonic;
    for (let i = 0; i < 5; i++) await scheduler.addJob(busy, trigger, { id: `job-${i}` });
    const started = scheduler.start();
    await clock.advance(500);
    await started;
    store.notes.length = 0;
    await clock.advance(700);
    expect(questions()).toEqual(['1000: claim 2', '1010: start 2', '1020: claim 2', '1030: start 2', '1040: claim 1', '1050: start 1', '1060: next']);
    await end();
  });

  it('is claimed while as many as there are hold up the process for longer, and each of them no longer', async () => {
    store.batchSize = 200;
    scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: store }, batchSize: 200 });
    const trigger = new DateTrigger(new Date(clock.now() + 1_000));
    let monotonic = 0;
    const real = clock.monotonic.bind(clock);
    clock.monotonic = () => real() + monotonic;
    for (let i = 0; i < 500; i++) await scheduler.addJob(() => { monotonic += 0.09; }, trigger, { id: `job-${i}` });
    const started = scheduler.start();
    await clock.advance(500);
    await started;
    store.notes.length = 0;
    await clock.advance(700);
    expect(questions().slice(0, 5)).toEqual(['1000: claim 200', '1010: start 200', '1020: claim 200', '1030: start 200', '1030: claim 100']);
    await end();
  });

  it('is asked for once, and what runs record meanwhile causes no other question', async () => {
    await start(1);
    await clock.advance(600);
    expect(questions()).toEqual(['1000: claim 1', '1010: start 1', '1020: next']);
    await end();
  });

  it('is given back by a scheduler that is paused before it got to it', async () => {
    await start(5);
    await clock.advance(515);
    const paused = scheduler.pause();
    await clock.advance(100);
    await paused;
    expect(ran).toHaveLength(2);
    const resumed = scheduler.resume();
    await clock.advance(100);
    await resumed;
    expect(ran).toHaveLength(5);
    await end();
  });

  it('runs once, also where the write of the batch before failed', async () => {
    store.failCommits = 1;
    await start(5);
    await clock.advance(1_600);
    // The first two are hidden as long as a claim hides.
    expect(ran).toHaveLength(3);
    await clock.advance({ seconds: 10 });
    expect([...ran].sort()).toEqual(['job-0', 'job-1', 'job-2', 'job-3', 'job-4']);
    await end();
  });
});
