import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { IntervalTrigger, MemoryJobStore, type JobStore, type LeaseRequest } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { MINUTE, SECOND, START_MS } from '../scheduler/support/world.js';
import { busiest, peak, shop } from './support/shop.js';

const stores: readonly (readonly [string, () => JobStore])[] = [
  ['in memory', () => new MemoryJobStore({ shared: true })],
  ['in a durable store', () => new JsonJobStore()],
];

/** As a node sees a store from which it can be cut off. */
class Line {
  isCut = false;

  to(store: JobStore): JobStore {
    const through = (target: object): object =>
      new Proxy(target, {
        get: (_, name) => {
          const value: unknown = Reflect.get(target, name, target);
          if (name === 'leases' || name === 'ledger' || name === 'members') return through(value as object);
          if (typeof value !== 'function' || name === 'open' || name === 'close' || name === 'watch') return typeof value === 'function' ? value.bind(target) : value;
          return (...args: unknown[]): unknown => {
            if (this.isCut) throw new Error('cut off');
            return value.apply(target, args);
          };
        },
      });
    return through(store) as JobStore;
  }
}

describe.each(stores)('limits of several schedulers, %s', (_name, makeStore) => {
  it('hold over all of them', async () => {
    const { clock, node, executions } = shop(makeStore());
    const tasks = { thumbs: { concurrency: 3 }, mail: { rateLimit: { max: 4, per: 10 * SECOND } } };
    const nodes = ['a', 'b', 'c'].map((name) => node(name, tasks));
    for (const { scheduler } of nodes) await scheduler.start();
    for (let i = 0; i < 24; i++) await nodes[i % 3]!.scheduler.enqueue('thumbs', { id: `thumb-${i}`, args: [2 * SECOND] });
    for (let i = 0; i < 12; i++) await nodes[i % 3]!.scheduler.enqueue('mail', { id: `mail-${i}` });
    await clock.advance(90 * SECOND);
    const thumbs = executions.filter(({ task }) => task === 'thumbs');
    const mail = executions.filter(({ task }) => task === 'mail');
    expect(thumbs).toHaveLength(24);
    expect(peak(thumbs)).toBe(3);
    expect(mail).toHaveLength(12);
    expect(busiest(mail, 10 * SECOND)).toBe(4);
    // What is full is filled again within a second or so, whoever made room.
    expect(Math.max(...thumbs.map(({ endedAt }) => endedAt ?? 0))).toBeLessThan(35 * SECOND);
    expect(Math.max(...mail.map(({ startedAt }) => startedAt))).toBeLessThan(25 * SECOND);
  });

  it('are not told of as used for ever by a node that has seen them in use elsewhere', async () => {
    const { clock, node, executions } = shop(makeStore());
    const nodes = ['a', 'b'].map((name) => node(name, { work: { concurrency: 2 } }));
    for (const { scheduler } of nodes) await scheduler.start();
    for (let i = 0; i < 12; i++) await nodes[i % 2]!.scheduler.enqueue('work', { id: `work-${i}`, args: [2 * SECOND] });
    const used = (): unknown[] => nodes.map(({ scheduler }) => scheduler.health().jobStores['default']?.limits[0]?.used);
    await clock.advance(SECOND);
    expect(used()).toEqual([2, 2]);
    await clock.advance(60 * SECOND);
    expect(executions).toHaveLength(12);
    expect(used()).toEqual([0, 0]);
  });

  it('let a node begin within about a second after the run of another has ended', async () => {
    const { clock, node, executions } = shop(makeStore());
    const a = node('a', { work: { concurrency: 1 }, only: {} });
    await a.scheduler.start();
    await a.scheduler.enqueue('work', { id: 'first', args: [10 * SECOND] });
    await clock.advance(SECOND);
    await a.scheduler.pause(); // it takes on nothing more, and what runs goes on
    const b = node('b', { work: { concurrency: 1 } });
    await b.scheduler.start();
    await b.scheduler.enqueue('work', { id: 'second', args: [SECOND] });
    await clock.advance(20 * SECOND);
    expect(executions.map(({ node: name, job }) => [name, job])).toEqual([['a', 'first'], ['b', 'second']]);
    expect(executions[1]!.startedAt).toBeGreaterThanOrEqual(10 * SECOND);
    expect(executions[1]!.startedAt).toBeLessThan(11.5 * SECOND);
  });

  it('put off no job for longer because another node had a slot long ago', async () => {
    const { clock, node, store } = shop(makeStore(), { limits: { tags: { api: { concurrency: 2 } } } });
    const [a, b] = [node('a', { here: {} }), node('b', { there: {} })];
    for (const { scheduler } of [a, b]) await scheduler.start();
    const enqueue = (of: typeof a, task: string, id: string, ms: number) => of.scheduler.enqueue(task, { id, args: [ms], tags: ['api'] });
    await enqueue(b, 'there', 'long', 5 * SECOND);
    await clock.advance(SECOND);
    // The first has the other slot, and the second has that after it: the slot of `long` is not asked for again.
    for (const id of ['first', 'second']) await enqueue(a, 'here', id, SECOND);
    await clock.advance(60 * MINUTE);
    for (const id of ['one', 'two']) await enqueue(b, 'there', id, 5 * SECOND);
    await clock.advance(SECOND);
    await enqueue(a, 'here', 'last', SECOND);
    await clock.advance(SECOND);
    const waiting = await store.get('last');
    expect(waiting!.record.state.nextDueAt! - clock.now()).toBeLessThan(10 * SECOND);
  });

  it('hold for tags over all of them, and starve no job', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { api: { concurrency: 2 } } } });
    const nodes = ['a', 'b'].map((name) => node(name, { pull: {}, push: {} }));
    for (const { scheduler } of nodes) await scheduler.start();
    for (let i = 0; i < 20; i++) await nodes[i % 2]!.scheduler.enqueue(i % 3 === 0 ? 'pull' : 'push', { id: `job-${i}`, args: [SECOND], tags: ['api'] });
    // And ever new ones meanwhile.
    for (let i = 20; i < 40; i++) {
      await clock.advance(SECOND);
      await nodes[i % 2]!.scheduler.enqueue('pull', { id: `job-${i}`, args: [SECOND], tags: ['api'] });
    }
    await clock.advance(MINUTE);
    expect(executions).toHaveLength(40);
    expect(peak(executions)).toBe(2);
    const started = new Map(executions.map(({ job, startedAt }) => [job, startedAt]));
    // The first twenty are mostly before the last twenty.
    const late = Array.from({ length: 20 }, (_, i) => started.get(`job-${i}`)!).filter((at) => at > 15 * SECOND);
    expect(late.length).toBeLessThan(6);
  });

  it('have a slot again when the lease of a node that died has run out, and not before', async () => {
    const { clock, node, executions, store } = shop(makeStore());
    const line = new Line();
    const a = node('a', { work: { concurrency: 1 } }, {}, line.to(store));
    const b = node('b', { work: { concurrency: 1 } });
    await a.scheduler.start();
    await a.scheduler.enqueue('work', { id: 'first', args: [100 * SECOND] });
    await clock.advance(SECOND);
    await b.scheduler.start();
    await b.scheduler.enqueue('work', { id: 'second', args: [SECOND] });
    await clock.advance(30 * SECOND);
    expect(executions.map(({ job }) => job)).toEqual(['first']); // it is renewed
    line.isCut = true;
    await clock.advance(14 * SECOND);
    expect(executions.map(({ job }) => job)).toEqual(['first']);
    // Its own node has given it up by then.
    await clock.advance(30 * SECOND);
    expect(executions.length).toBeGreaterThan(1);
    expect(executions[0]!.endedAt).toBeLessThan(executions[1]!.startedAt);
    expect(executions.slice(1).every((execution) => execution.node === 'b')).toBe(true);
    await clock.advance(150 * SECOND);
    expect(peak(executions)).toBe(1);
    expect(new Set(executions.filter(({ endedAt }) => endedAt !== null).map(({ job }) => job))).toEqual(new Set(['first', 'second']));
    line.isCut = false;
    await clock.advance(MINUTE);
    expect((await b.scheduler.verifyLedger()).ok).toBe(true);
  });

  it('keep no slot for ever that was taken while the clock was wrong', async () => {
    const { clock, node, executions, store } = shop(makeStore());
    const line = new Line();
    const limits = { work: { concurrency: 1 }, mail: { rateLimit: { max: 1, per: 10 * SECOND } } };
    const a = node('a', limits, {}, line.to(store));
    await a.scheduler.start();
    clock.jump(86_400_000);
    await a.scheduler.enqueue('work', { id: 'first', args: [40 * SECOND] });
    await a.scheduler.enqueue('mail', { id: 'mail-0' });
    await clock.advance(SECOND);
    clock.jump(-86_400_000);
    const b = node('b', limits);
    await b.scheduler.start();
    for (let i = 1; i < 4; i++) await b.scheduler.enqueue('mail', { id: `mail-${i}` });
    await b.scheduler.enqueue('work', { id: 'second', args: [SECOND] });
    await clock.advance(20 * SECOND);
    // Whoever lives keeps what it has.
    expect(executions.filter(({ task }) => task === 'work').map(({ job }) => job)).toEqual(['first']);
    line.isCut = true; // and now a is dead
    await clock.advance(100 * SECOND);
    expect(executions.filter(({ task }) => task === 'work').map(({ job }) => job).sort()).toEqual(['first', 'first', 'second']);
    expect(executions.filter(({ task }) => task === 'mail')).toHaveLength(4);
    const [first, ...later] = executions.filter(({ task }) => task === 'work');
    expect(peak(later)).toBe(1);
    expect(first!.endedAt).toBeLessThanOrEqual(Math.min(...later.map(({ startedAt }) => startedAt)));
    line.isCut = false;
  });

  it('give a process that was started again the slots that the last one of its name left', async () => {
    const { clock, node, executions, store } = shop(makeStore(), { leaseDuration: MINUTE });
    const line = new Line();
    const a = node('web', { work: { concurrency: 1 } }, {}, line.to(store));
    await a.scheduler.start();
    await a.scheduler.addJob('work', new Date(START_MS + SECOND), { id: 'first', args: [600 * SECOND] });
    await clock.advance(2 * SECOND);
    line.isCut = true;
    // As if it had been another process, which is dead.
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const dead = `${hostname()}:${pid}:abc`;
    const { record, revision } = (await store.get('first'))!;
    const runs = record.state.runs.map((run) => (run.state === 'running' ? { ...run, process: dead } : run));
    await store.commit([{ id: 'first', expected: revision, next: { ...record, state: { ...record.state, runs } }, ledger: [] }]);
    const key = 'limit.task.concurrency.0.work';
    const lease = (await store.leases.get(key))!;
    const holder = lease.holder.split(' ').map((part, index) => (index === 1 ? dead : part)).join(' ');
    await store.leases.acquire({ key, holder, now: clock.now(), ttlMs: MINUTE, force: true });

    const b = node('web', { work: { concurrency: 1 } });
    await b.scheduler.start();
    await clock.advance(SECOND);
    expect(executions.map(({ job, startedAt }) => [job, startedAt])).toEqual([['first', SECOND], ['first', 2 * SECOND]]);
    const left = (await store.leases.get(key))!;
    expect(left.holder).not.toBe(holder);
    expect(left.expiresAt).toBeLessThanOrEqual(clock.now() + MINUTE);
  });

  it('let the most generous hold while nodes have different ones', async () => {
    const { clock, node, executions } = shop(makeStore());
    const old = node('old', { work: { concurrency: 2 } });
    const fresh = node('fresh', { work: { concurrency: 4 } });
    await old.scheduler.start();
    await fresh.scheduler.start();
    for (let i = 0; i < 16; i++) await old.scheduler.enqueue('work', { id: `work-${i}`, args: [3 * SECOND] });
    await clock.advance(MINUTE);
    expect(executions).toHaveLength(16);
    expect(peak(executions)).toBe(4);
    expect(peak(executions.filter((execution) => execution.node === 'old'))).toBeLessThanOrEqual(2);
  });

  it('count jobs that run on every node with all others', async () => {
    const { clock, node, executions } = shop(makeStore());
    const nodes = ['a', 'b', 'c'].map((name) => node(name, { refresh: { concurrency: 1 } }));
    for (const { scheduler } of nodes) await scheduler.start();
    await nodes[0]!.scheduler.addJob('refresh', new IntervalTrigger({ seconds: 30 }), { id: 'refresh', exclusive: false, args: [4 * SECOND] });
    await clock.advance(58 * SECOND);
    expect(executions.map((execution) => execution.node).sort()).toEqual(['a', 'b', 'c']);
    expect(peak(executions)).toBe(1);
  });

  it('release at a shutdown what is handed back', async () => {
    const { clock, node, executions } = shop(makeStore());
    const a = node('a', { work: { concurrency: 1 } });
    const b = node('b', { work: { concurrency: 1 } });
    await a.scheduler.start();
    await a.scheduler.addJob('work', new Date(START_MS + SECOND), { id: 'work', args: [50 * SECOND] });
    await clock.advance(2 * SECOND);
    await b.scheduler.start();
    const stopping = a.scheduler.shutdown({ wait: false });
    await clock.advance(4 * SECOND);
    await stopping;
    await clock.advance(2 * SECOND);
    expect(executions.map((execution) => execution.node)).toEqual(['a', 'b']);
    expect(executions[1]!.startedAt).toBeLessThan(5 * SECOND);
  });
});

describe('what limits cost', () => {
  /** Counts what is asked of a store. */
  function counted(store: JobStore): { readonly store: JobStore; readonly calls: Map<string, number> } {
    const calls = new Map<string, number>();
    const count = (name: string): void => { calls.set(name, (calls.get(name) ?? 0) + 1); };
    for (const name of ['claimDue', 'nextWakeAt', 'get'] as const) {
      const call = store[name].bind(store) as (...args: unknown[]) => never;
      Object.assign(store, { [name]: (...args: unknown[]): unknown => { count(name); return call(...args); } });
    }
    const commit = store.commit.bind(store);
    Object.assign(store, { commit: (changes: readonly unknown[]) => { calls.set('commit', (calls.get('commit') ?? 0) + changes.length); return commit(changes as never); } });
    const { leases } = store;
    const wrapped = {
      acquire: (request: LeaseRequest) => { if (request.key.startsWith('limit.')) count('acquire'); return leases.acquire(request); },
      get: (key: string) => { count('lease'); return leases.get(key); },
      release: (key: string, holder: string) => { if (key.startsWith('limit.')) count('release'); return leases.release(key, holder); },
    };
    Object.defineProperty(store, 'leases', { get: () => wrapped });
    return { store, calls };
  }

  async function run(jobs: number, setup: (node: ReturnType<typeof shop>['node']) => ReturnType<ReturnType<typeof shop>['node']>, tags: readonly string[] = []) {
    const { store, calls } = counted(new JsonJobStore());
    const { clock, node, executions } = shop(store, { leaseDuration: { hours: 1 } }); // lest renewals be counted
    const { scheduler } = setup(node);
    await scheduler.addJobs(Array.from({ length: jobs }, (_, i) => ({ id: `job-${i}`, task: 'work', trigger: new Date(START_MS + SECOND), args: [SECOND], tags })));
    await scheduler.start();
    await clock.advance((jobs / 5 + 30) * SECOND);
    expect(executions).toHaveLength(jobs);
    return { calls, executions };
  }

  it('is nothing for jobs without any', async () => {
    const without = await run(100, (node) => node('a', { work: {} }));
    const beside = await run(100, (node) => node('a', { work: {} }, { limits: { tags: { other: { concurrency: 1 } } } }));
    expect(without.calls.get('acquire')).toBeUndefined();
    expect(without.calls.get('claimDue')).toBeLessThan(6);
    expect(Object.fromEntries(beside.calls)).toEqual(Object.fromEntries(without.calls));
  });

  it('is a lease taken and given back for each run of a limited task, and a write for each that waits', async () => {
    const { calls, executions } = await run(500, (node) => node('a', { work: { concurrency: 5 } }));
    expect(peak(executions)).toBe(5);
    expect(calls.get('commit')).toBe(1_000 + 495); // the start and the end of each run
    expect(calls.get('get')).toBeLessThan(510);
    expect(calls.get('acquire')).toBe(500);
    expect(calls.get('release')).toBe(500);
    expect(calls.get('lease') ?? 0).toBe(0);
  });

  it('is one lease for each start under a rate', async () => {
    const { calls } = await run(200, (node) => node('a', { work: { rateLimit: { max: 20, per: 4 * SECOND } } }));
    expect(calls.get('commit')).toBe(400 + 180);
    expect(calls.get('acquire')).toBe(200);
    expect(calls.get('release')).toBeUndefined();
  });

  it('is the same for a limited tag', async () => {
    const { calls, executions } = await run(500, (node) => node('a', { work: {} }, { limits: { tags: { api: { concurrency: 5 } } } }), ['api']);
    expect(peak(executions)).toBe(5);
    expect(calls.get('commit')).toBe(1_000 + 495);
    expect(calls.get('acquire')).toBe(500);
    expect(executions.at(-1)!.startedAt).toBe(100 * SECOND);
  });

  it('is no question to a store that nobody else uses', async () => {
    const store = new MemoryJobStore();
    const { calls } = counted(store);
    const { clock, node, executions } = shop(store);
    const { scheduler } = node('a', { work: { concurrency: 2, rateLimit: { max: 3, per: 2 * SECOND } } });
    await scheduler.start();
    for (let i = 0; i < 20; i++) await scheduler.enqueue('work', { args: [SECOND] });
    await clock.advance(30 * SECOND);
    expect(executions).toHaveLength(20);
    expect(peak(executions)).toBe(2);
    expect(busiest(executions, 2 * SECOND)).toBe(3);
    expect(calls.get('acquire')).toBeUndefined();
  });
});
