import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CronTrigger,
  DateTrigger,
  IntervalTrigger,
  MemoryJobStore,
  TriggerRegistry,
  type JobChange,
  type JobRecord,
  type JobStore,
  type Revision,
  type StoredJob,
  type SyncJob,
  type SyncPlan,
  type Trigger,
  type TriggerJson,
} from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { temporaryFile } from '../stores/sqlite/support.js';
import { failure, gate, makeWorld, MINUTE, SECOND, START, START_MS, whileTimePasses, type World } from './support/world.js';

const noop = (): undefined => undefined;
const isWorthIt = (): boolean => true;
const at = (seconds: number): Date => new Date(START_MS + seconds * SECOND);
const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const OWNER = { owner: 'app' };

/** Counts what is written, and can let something happen just before a write. */
class WatchedStore extends JsonJobStore {
  writes = 0;
  before: (() => Promise<unknown>) | undefined;

  async #write(): Promise<void> {
    const { before } = this;
    this.before = undefined;
    await before?.();
    this.writes += 1;
  }
  override async insert(records: readonly JobRecord[]): Promise<readonly (StoredJob | undefined)[]> {
    if (records.length > 0) await this.#write();
    return super.insert(records);
  }
  override async commit(changes: readonly JobChange[]): Promise<readonly (Revision | undefined)[]> {
    await this.#write();
    return super.commit(changes);
  }
}

function world(jobStore: JobStore = new JsonJobStore(), options: { readonly clock?: VirtualClock; readonly node?: string } = {}): World {
  const made = makeWorld({ jobStores: { default: jobStore }, ...options });
  made.scheduler.defineTask('work', noop);
  made.scheduler.defineTask('other', noop);
  return made;
}

const job = (id: string, changes: Partial<SyncJob> = {}): SyncJob => ({ id, task: 'work', trigger: every(60), ...changes });
/** What a plan says, done or not. */
const facts = ({ create, change, keep, remove }: SyncPlan): object => ({ create, change, keep, remove });
const ids = async ({ scheduler }: World, owner?: string): Promise<string[]> => (await scheduler.getJobs({ owner })).map(({ id }) => id);

describe('sync', () => {
  it('adds, changes, keeps and removes, and says so', async () => {
    const app = world();
    const first = await app.scheduler.sync([job('a'), job('b'), job('c', { args: [1] })], OWNER);
    expect(String(first)).toBe('+ a\n+ b\n+ c\napp: 3 created, 0 changed, 0 removed, 0 unchanged');
    expect(first.create).toEqual(['a', 'b', 'c'].map((id) => ({ id, nextRunTime: at(60) })));
    app.recorder.clear();
    await app.clock.advance({ seconds: 30 });

    const wanted = [job('a'), job('c', { args: [2], maxInstances: 2 }), job('d', { trigger: every(20) })];
    const plan = await app.scheduler.sync(wanted, { ...OWNER, dryRun: true });
    expect(String(plan)).toBe('+ d\n~ c (args, policy.maxInstances)\n- b\napp: 1 to create, 1 to change, 1 to remove, 1 unchanged');
    expect(await ids(app)).toEqual(['a', 'b', 'c']);
    expect(app.recorder.events).toEqual([]);

    const done = await app.scheduler.sync(wanted, OWNER);
    expect(facts(done)).toEqual(facts(plan));
    expect(done.change).toEqual([{ id: 'c', fields: ['args', 'policy.maxInstances'], nextRunTime: at(60) }]);
    expect(done).toMatchObject({ keep: ['a'], remove: ['b'], isEmpty: false });
    expect(await ids(app, 'app')).toEqual(['a', 'c', 'd']);
    expect(await app.scheduler.getJob('c')).toMatchObject({ args: [2], policy: { maxInstances: 2 }, nextRunTime: at(60) });
    expect(app.recorder.of('jobAdded')).toMatchObject([{ jobId: 'd', replaced: false }]);
    expect(app.recorder.of('jobModified')).toMatchObject([{ jobId: 'c', changed: ['args', 'policy.maxInstances'] }]);
    expect(app.recorder.of('jobRemoved')).toMatchObject([{ jobId: 'b', reason: 'requested' }]);
  });

  it('writes nothing when nothing has changed, and moves no interval', async () => {
    const store = new WatchedStore();
    const definitions = (): SyncJob[] => [
      job('interval', { args: [new Date(0), new Map([['k', 1n]])], metadata: { b: 1, a: [undefined] } }),
      job('cron', { trigger: '*/7 * * * *', retry: { maxAttempts: 3 }, jitter: 500, tags: ['x', 'y'], name: 'N' }),
      job('hashed', { trigger: new CronTrigger('H H * * *') }),
      job('bounds', { startTime: '2026-01-02T00:00:00Z', endTime: '2027-01-01T00:00:00Z', misfireGraceTime: null }),
      job('date', { trigger: new DateTrigger('2026-06-01T00:00:00Z') }),
    ];
    const before = world(store);
    await before.scheduler.sync(definitions(), OWNER);
    const times = (await before.scheduler.getJobs()).map(({ nextRunTime }) => nextRunTime);
    const { writes } = store;
    await before.clock.advance({ seconds: 25 });
    const after = world(store, { clock: before.clock, node: 'node-b' });
    const plan = await after.scheduler.sync(definitions(), OWNER);
    expect(plan).toMatchObject({ isEmpty: true, keep: definitions().map(({ id }) => id) });
    expect(String(plan)).toBe('app: 0 created, 0 changed, 0 removed, 5 unchanged');
    expect(store.writes).toBe(writes);
    expect((await after.scheduler.getJobs()).map(({ nextRunTime }) => nextRunTime)).toEqual(times);
  });

  it('begins a new schedule for a changed trigger; counters and the pause of an operator stay', async () => {
    const app = world();
    await app.scheduler.sync([job('a', { trigger: every(10) }), job('b', { trigger: every(10) })], OWNER);
    await app.scheduler.start();
    await app.clock.advance({ seconds: 25 });
    await app.scheduler.pauseJob('b');
    const plan = await app.scheduler.sync([job('a', { trigger: every(60) }), job('b', { trigger: every(60), paused: false, args: [1] })], OWNER);
    expect(plan.change).toEqual([
      { id: 'a', fields: ['trigger'], nextRunTime: at(85) },
      { id: 'b', fields: ['trigger', 'args'], nextRunTime: null },
    ]);
    expect(await app.scheduler.getJob('a')).toMatchObject({ runCount: 2, status: 'active', lastFireTime: at(20) });
    expect(await app.scheduler.getJob('b')).toMatchObject({ runCount: 2, status: 'paused', args: [1] });
    expect((await app.scheduler.sync([job('a'), job('b', { paused: true, args: [1] })], OWNER)).keep).toEqual(['a', 'b']);
    await app.clock.advance({ minutes: 3 });
    expect(await app.scheduler.verifyLedger()).toMatchObject({ ok: true });
  });

  it('counts `paused` when it adds', async () => {
    const app = world();
    const plan = await app.scheduler.sync([job('a', { paused: true })], OWNER);
    expect(plan.create).toEqual([{ id: 'a', nextRunTime: null }]);
    await app.scheduler.resumeJob('a');
    expect((await app.scheduler.sync([job('a', { paused: true })], OWNER)).isEmpty).toBe(true);
    expect(await app.scheduler.getJob('a')).toMatchObject({ status: 'active' });
  });

  it('puts back what somebody changed by hand', async () => {
    const app = world();
    await app.scheduler.sync([job('a')], OWNER);
    await app.scheduler.modifyJob('a', { name: 'by hand', priority: 4 });
    await app.scheduler.rescheduleJob('a', '0 0 * * *');
    const plan = await app.scheduler.sync([job('a')], OWNER);
    expect([...plan.change[0]!.fields].sort()).toEqual(['name', 'policy.priority', 'trigger']);
  });

  it('changes the task of a job, and keeps its live runs', async () => {
    const app = world();
    const open = gate();
    app.scheduler.defineTask('long', () => open.promise);
    await app.scheduler.sync([job('a', { task: 'long', trigger: every(10) }), job('b', { task: 'long', trigger: every(10) })], OWNER);
    await app.scheduler.start();
    await app.clock.advance({ seconds: 10 });
    await app.scheduler.sync([job('a', { task: 'other', trigger: every(10) })], OWNER);
    expect(await app.scheduler.getJob('a')).toMatchObject({ task: 'other', nextRunTime: at(20), runs: [{}] });
    expect(await app.scheduler.sync([job('a', { task: 'other', trigger: every(10) }), job('b', { trigger: every(10) })], OWNER)).toMatchObject({ create: [{ id: 'b' }] });
    open.open();
    await app.clock.settle();
    expect(app.recorder.of('jobExecuted').map(({ jobId }) => jobId).sort()).toEqual(['a', 'b']);
    await app.clock.advance({ minutes: 1 });
    expect(await app.scheduler.verifyLedger()).toMatchObject({ ok: true });
  });

  it('without prune removes nothing', async () => {
    const app = world();
    await app.scheduler.sync([job('a')], OWNER);
    expect(await app.scheduler.sync([job('b')], { ...OWNER, prune: false })).toMatchObject({ remove: [] });
    expect(await ids(app)).toEqual(['a', 'b']);
  });

  describe('owners', () => {
    it('leave one another alone, and what has none', async () => {
      const app = world();
      await app.scheduler.addJob('work', every(60), { id: 'free' });
      await app.scheduler.sync([job('mine')], { owner: 'one' });
      await app.scheduler.sync([job('theirs')], { owner: 'two' });
      await app.scheduler.sync([], { owner: 'one' });
      expect(await ids(app)).toEqual(['free', 'theirs']);
    });

    it('refuse the ids of others, all of them named, before anything is written', async () => {
      const store = new WatchedStore();
      const app = world(store);
      await app.scheduler.addJob('work', every(60), { id: 'free' });
      await app.scheduler.sync([job('theirs')], { owner: 'two' });
      const { writes } = store;
      const error = await failure(app.scheduler.sync([job('new'), job('free'), job('theirs')], { owner: 'one' }));
      expect(error).toMatchObject({ code: 'JOB_OWNED', jobs: [{ id: 'free', owner: null }, { id: 'theirs', owner: 'two' }] });
      expect(error.message).toContain('"free" (no owner), "theirs" (of "two")');
      expect(store.writes).toBe(writes);
    });

    it('take them over with adopt, at their place', async () => {
      const app = world();
      await app.scheduler.addJob('work', every(60), { id: 'free' });
      await app.scheduler.sync([job('theirs')], { owner: 'two' });
      await app.clock.advance({ seconds: 20 });
      const plan = await app.scheduler.sync([job('free'), job('theirs', { args: [1] })], { owner: 'one', adopt: true });
      expect(plan.change).toEqual([
        { id: 'free', fields: ['owner'], nextRunTime: at(60) },
        { id: 'theirs', fields: ['args', 'owner'], nextRunTime: at(60) },
      ]);
      expect(await app.scheduler.sync([], { owner: 'two' })).toMatchObject({ isEmpty: true });
      expect(await ids(app, 'one')).toEqual(['free', 'theirs']);
    });

    it('stay with an exported job', async () => {
      const app = world();
      await app.scheduler.sync([job('a')], OWNER);
      const copy = world(undefined, { clock: app.clock });
      await copy.scheduler.importJobs(await app.scheduler.exportJobs({ owner: 'app' }));
      expect(await copy.scheduler.sync([job('a')], OWNER)).toMatchObject({ keep: ['a'], isEmpty: true });
    });
  });

  describe('checks all definitions first', () => {
    const refused: readonly [string, readonly unknown[], object][] = [
      ['an id twice', [job('a'), job('a')], { code: 'INVALID_OPTION', option: 'definitions[2].id' }],
      ['no id', [{ task: 'work', trigger: every(1) }], { option: 'definitions[1].id' }],
      ['no object', ['a'], { option: 'definitions[1]' }],
      ['a store of its own', [{ ...job('a'), jobStore: 'default' }], { option: 'definitions[1].jobStore' }],
      ['replaceExisting', [{ ...job('a'), replaceExisting: true }], { option: 'definitions[1].replaceExisting' }],
      ['an unknown option', [{ ...job('a'), argz: [] }], { option: 'argz' }],
      ['an unknown task', [job('a', { task: 'none' })], { code: 'UNKNOWN_TASK' }],
      ['a function', [job('a', { task: noop })], { code: 'JOB_UNSTORABLE' }],
      ['arguments that cannot be stored', [job('a', { args: [Symbol('x')] })], { code: 'JOB_UNSTORABLE' }],
      ['a trigger that never fires', [job('a', { trigger: '0 0 30 2 *' })], {}],
      ['a bad policy', [job('a', { maxInstances: 0 })], { option: 'maxInstances' }],
    ];
    it.each(refused)('%s', async (_name, bad, expected) => {
      const store = new WatchedStore();
      const app = world(store);
      expect(await failure(app.scheduler.sync([job('good'), ...(bad as SyncJob[])], OWNER))).toMatchObject(expected);
      expect(store.writes).toBe(0);
    });

    it('and the options', async () => {
      const { scheduler } = world();
      expect(await failure(scheduler.sync([], {} as never))).toMatchObject({ option: 'owner' });
      expect(await failure(scheduler.sync([], { ...OWNER, force: true } as never))).toMatchObject({ option: 'force' });
      expect(await failure(scheduler.sync({} as never, OWNER))).toMatchObject({ option: 'definitions' });
      expect(await failure(scheduler.sync([], { ...OWNER, jobStore: 'none' }))).toMatchObject({ code: 'UNKNOWN_STORE' });
    });
  });

  it('mends what is in quarantine or cannot be read', async () => {
    class OddTrigger implements Trigger {
      readonly kind = 'odd';
      next(after: number): number {
        return (Math.floor(after / MINUTE) + 1) * MINUTE;
      }
      toJSON(): TriggerJson {
        return { kind: this.kind, v: 1 };
      }
    }
    const store = new JsonJobStore();
    const odd = makeWorld({ jobStores: { default: store }, triggers: new TriggerRegistry().register('odd', () => new OddTrigger()), node: 'odd' });
    odd.scheduler.defineTask('work', noop);
    await odd.scheduler.sync([job('a', { trigger: new OddTrigger() }), job('b', { trigger: new OddTrigger() })], OWNER);
    const app = world(store, { clock: odd.clock });
    await app.scheduler.start();
    await app.clock.advance({ minutes: 1 });
    expect(await app.scheduler.getJob('a')).toMatchObject({ status: 'quarantined' });
    const plan = await app.scheduler.sync([job('a'), job('b', { paused: true })], OWNER);
    expect(plan.change).toEqual([
      { id: 'a', fields: ['trigger', 'status'], nextRunTime: at(120) },
      { id: 'b', fields: ['trigger', 'status'], nextRunTime: null },
    ]);
    expect(await app.scheduler.getJob('a')).toMatchObject({ status: 'active', reason: null });
    expect((await app.scheduler.sync([job('a'), job('b')], OWNER)).isEmpty).toBe(true);
    await app.clock.advance({ minutes: 1 });
    expect(app.recorder.of('jobExecuted')).toMatchObject([{ jobId: 'a' }]);
  });

  it('in memory compares values deeply and functions by identity', async () => {
    const app = world(new MemoryJobStore());
    const make = (task: SyncJob['task']): SyncJob[] => [job('a', { task, args: [{ at: new Date(3), set: new Set([1]) }], retry: { retryIf: isWorthIt } })];
    await app.scheduler.sync(make(noop), OWNER);
    await app.clock.advance({ seconds: 10 });
    expect((await app.scheduler.sync(make(noop), OWNER)).isEmpty).toBe(true);
    expect((await app.scheduler.sync(make(() => undefined), OWNER)).change).toEqual([{ id: 'a', fields: ['task'], nextRunTime: at(60) }]);
    expect((await app.scheduler.sync(make('work'), OWNER)).change).toMatchObject([{ fields: ['task'] }]);
  });

  describe('beside other processes', () => {
    const pair = (): { store: WatchedStore; a: World; b: World } => {
      const store = new WatchedStore();
      const a = world(store);
      return { store, a, b: world(store, { clock: a.clock, node: 'node-b' }) };
    };
    const definitions = Array.from({ length: 30 }, (_, i) => job(`job-${i}`, { args: [i] }));

    it('the same set from empty comes out once', async () => {
      const { a, b } = pair();
      const plans = await whileTimePasses(a.clock, Promise.all([a, b, a, b].map(({ scheduler }) => scheduler.sync(definitions, OWNER))));
      expect(plans.reduce((sum, plan) => sum + plan.create.length, 0)).toBe(30);
      for (const plan of plans) expect(plan.create.length + plan.keep.length).toBe(30);
      expect(await ids(a, 'app')).toHaveLength(30);
    });

    it('the same changes and removals are made once', async () => {
      const { a, b } = pair();
      await a.scheduler.sync(definitions, OWNER);
      const next = definitions.slice(10).map((one) => ({ ...one, args: ['new'] }));
      const plans = await whileTimePasses(a.clock, Promise.all([a, b].map(({ scheduler }) => scheduler.sync(next, OWNER))));
      expect(plans.reduce((sum, plan) => sum + plan.change.length, 0)).toBe(20);
      expect(plans.reduce((sum, plan) => sum + plan.remove.length, 0)).toBe(10);
      expect((await a.scheduler.getJobs()).map(({ args }) => args[0])).toEqual(Array.from({ length: 20 }, () => 'new'));
    });

    it('in one SQLite file as well', async () => {
      const path = temporaryFile();
      const a = world(new SQLiteJobStore(path));
      const b = world(new SQLiteJobStore(path), { clock: a.clock, node: 'node-b' });
      const both = async (wanted: readonly SyncJob[]): Promise<SyncPlan[]> =>
        whileTimePasses(a.clock, Promise.all([a, b].map(({ scheduler }) => scheduler.sync(wanted, OWNER))));
      expect((await both(definitions)).reduce((sum, plan) => sum + plan.create.length, 0)).toBe(30);
      expect((await both(definitions)).map(({ isEmpty }) => isEmpty)).toEqual([true, true]);
      const plans = await both(definitions.slice(10).map((one) => ({ ...one, args: ['new'] })));
      expect(plans.reduce((sum, plan) => sum + plan.change.length + plan.remove.length, 0)).toBe(30);
    });

    it('different sets end without an error, and the next sync settles it', async () => {
      const { a, b } = pair();
      await a.scheduler.sync(definitions, OWNER);
      const [left, right] = [definitions.slice(0, 20), definitions.slice(10).map((one) => ({ ...one, trigger: every(30) }))];
      await whileTimePasses(a.clock, Promise.all([a.scheduler.sync(left, OWNER), b.scheduler.sync(right, OWNER)]));
      await b.scheduler.sync(right, OWNER);
      expect(await ids(a, 'app')).toEqual(right.map(({ id }) => id).sort());
      expect((await a.scheduler.sync(right, OWNER)).isEmpty).toBe(true);
    });

    it('what was planned is done to what is there by then', async () => {
      const { store, a, b } = pair();
      await a.scheduler.sync([job('a')], OWNER);
      store.before = () => b.scheduler.removeJob('a');
      expect(await whileTimePasses(a.clock, a.scheduler.sync([job('a', { args: [1] })], OWNER))).toMatchObject({ create: [{ id: 'a' }], change: [] });
      store.before = () => b.scheduler.sync([job('a', { args: [2] })], OWNER);
      expect(await whileTimePasses(a.clock, a.scheduler.sync([job('a', { args: [2] })], OWNER))).toMatchObject({ keep: ['a'], change: [] });
      store.before = () => b.scheduler.removeJob('a');
      expect(await whileTimePasses(a.clock, a.scheduler.sync([], OWNER))).toMatchObject({ remove: [] });
      store.before = () => b.scheduler.addJob('work', every(5), { id: 'x' });
      expect(await failure(whileTimePasses(a.clock, a.scheduler.sync([job('x')], OWNER)))).toMatchObject({ code: 'JOB_OWNED' });
      store.before = () => b.scheduler.pauseJob('x');
      expect(await whileTimePasses(a.clock, a.scheduler.sync([job('x')], { ...OWNER, adopt: true }))).toMatchObject({ change: [{ id: 'x', nextRunTime: null }] });
      expect(await a.scheduler.getJob('x')).toMatchObject({ status: 'paused' });
      store.before = () => b.scheduler.sync([job('x')], { owner: 'two', adopt: true });
      expect(await whileTimePasses(a.clock, a.scheduler.sync([], OWNER))).toMatchObject({ remove: [] });
      expect(await ids(b, 'two')).toEqual(['x']);
    });
  });

  it('whatever there was, afterwards the jobs of the owner are those defined', async () => {
    const definition = fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      trigger: fc.constantFrom<() => SyncJob['trigger']>(() => every(60), () => every(90), () => '0 * * * *'),
      args: fc.constantFrom<readonly unknown[]>([], [1], [new Date(0)], [{ k: new Map([[1, 2]]) }]),
      maxInstances: fc.constantFrom(1, 2),
      task: fc.constantFrom('work', 'other'),
      tags: fc.constantFrom<readonly string[]>([], ['x'], ['x', 'y']),
      name: fc.constantFrom(undefined, 'N'),
    });
    const set = fc.uniqueArray(definition, { selector: ({ id }) => id });
    const jobStore = fc.constantFrom<() => JobStore>(() => new JsonJobStore(), () => new MemoryJobStore(), () => new SQLiteJobStore(':memory:'));
    await fc.assert(
      fc.asyncProperty(jobStore, fc.array(set, { minLength: 1, maxLength: 4 }), async (makeStore, sets) => {
        const clock = new VirtualClock(START);
        const app = world(makeStore(), { clock });
        await app.scheduler.addJob('work', every(5), { id: 'bystander' });
        for (const wanted of sets) {
          const definitions = wanted.map((one): SyncJob => ({ ...one, trigger: one.trigger() }));
          const dry = await app.scheduler.sync(definitions, { ...OWNER, dryRun: true });
          const done = await app.scheduler.sync(definitions, OWNER);
          expect(facts(done)).toEqual(facts(dry));
          const jobs = await app.scheduler.getJobs({ owner: 'app' });
          expect(jobs.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id).sort());
          for (const { id, task, args, tags, name, maxInstances } of wanted) {
            expect(await app.scheduler.getJob(id)).toMatchObject({ task, args, tags, name: name ?? null, policy: { maxInstances } });
          }
          expect(await app.scheduler.sync(definitions, OWNER)).toMatchObject({ isEmpty: true });
          await clock.advance({ seconds: 7 });
        }
        expect(await app.scheduler.getJob('bystander')).toBeDefined();
        await app.scheduler.shutdown();
      }),
      { numRuns: 60 },
    );
  });
});
