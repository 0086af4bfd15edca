import assert from 'node:assert/strict';
import { after, AsyncScheduler, IntervalTrigger, isPunctualError, MemoryJobStore } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, test } from 'vitest';
import { makeWorld, quiet, START, type World } from './support.js';

async function ids(store: JsonJobStore | MemoryJobStore): Promise<string[]> {
  return (await store.list({ limit: 100 })).jobs.map(({ record }) => `${record.id} ${record.state.status}`);
}

describe('a job that follows', () => {
  test('keeps following when it is added again, as at each start of a program', async () => {
    const store = new JsonJobStore();
    const clock = new VirtualClock(START);
    const ran: string[] = [];
    for (let start = 0; start < 3; start++) {
      const { scheduler } = makeWorld(store, { node: `n${start}` }, clock, ran);
      await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'], replaceExisting: true });
      await scheduler.addJob('work', after('a'), { id: 'b', args: ['b'], replaceExisting: true });
      await scheduler.start();
      await clock.advance({ seconds: 20 });
      await scheduler.shutdown();
    }
    assert.deepEqual(ran, Array.from({ length: 6 }, () => ['a', 'b after a succeeded']).flat());
    const followers = (await store.get('a'))?.record.state.links?.followers;
    assert.deepEqual(followers?.map(({ to, on }) => `${to} ${on}`), ['b success']);
  });

  test('follows other jobs from when it has another trigger', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock, ran } = makeWorld(store);
    await scheduler.addJobs([
      { task: 'work', trigger: after('a'), id: 'b', args: ['b'] },
      { task: 'work', trigger: new IntervalTrigger({ seconds: 10 }), id: 'a', args: ['a'] },
      { task: 'work', trigger: new IntervalTrigger({ seconds: 10 }), id: 'c', args: ['c'] },
    ]);
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    assert.deepEqual([...ran].sort(), ['a', 'b after a succeeded', 'c']);
    await scheduler.rescheduleJob('b', after('c'));
    ran.length = 0;
    await clock.advance({ seconds: 10 });
    assert.deepEqual([...ran].sort(), ['a', 'b after c succeeded', 'c']);
    await scheduler.addJob('work', after(['a', 'c']), { id: 'b', args: ['b'], replaceExisting: true });
    ran.length = 0;
    await clock.advance({ seconds: 10 });
    assert.deepEqual([...ran].sort(), ['a', 'b after a succeeded, c succeeded', 'c']);
    await scheduler.rescheduleJob('b', new IntervalTrigger({ seconds: 5 }, { startTime: START }));
    ran.length = 0;
    await clock.advance({ seconds: 10 });
    assert.deepEqual([...ran].sort(), ['a', 'b', 'b', 'c']);
    // Those it followed find out, and forget it.
    await clock.advance({ minutes: 3 });
    assert.equal((await store.get('a'))?.record.state.links, undefined);
    assert.equal((await store.get('c'))?.record.state.links, undefined);
    assert.equal((await scheduler.verifyLedger()).ok, true);
  });

  test('does not fire for what ended before it was there, or was there before', async () => {
    const { scheduler, clock, ran } = makeWorld(new JsonJobStore());
    await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'] });
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    await scheduler.addJob('work', after('a'), { id: 'b', args: ['b'] });
    await clock.advance({ seconds: 10 });
    await scheduler.removeJob('b');
    await clock.advance({ seconds: 10 });
    await scheduler.addJob('work', after('a'), { id: 'b', args: ['b'] });
    await clock.advance({ seconds: 10 });
    assert.deepEqual(ran, ['a', 'a', 'b after a succeeded', 'a', 'a', 'b after a succeeded']);
  });

  test('leaves nothing behind when it is removed, and neither does what it followed', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock } = makeWorld(store);
    await scheduler.addJob('work', new Date(clock.now() + 1_000), { id: 'a', args: ['a'] });
    await scheduler.addJob('work', after('a'), { id: 'b', args: ['b'] });
    await scheduler.addJob('work', after('a'), { id: 'c', args: ['c'] });
    await scheduler.start();
    await clock.advance({ minutes: 2 });
    assert.deepEqual(await ids(store), ['a removed', 'b active', 'c active']);
    assert.deepEqual((await scheduler.getJobs()).map(({ id }) => id), ['b', 'c']);
    await scheduler.removeJob('b');
    await clock.advance(0);
    assert.deepEqual(await ids(store), ['a removed', 'c active']);
    await scheduler.removeJob('c');
    await clock.advance(0);
    assert.deepEqual(await ids(store), []);
  });

  test('goes on in another store, and is told of there', async () => {
    const from = makeWorld(new JsonJobStore());
    await from.scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'a', args: ['a'] });
    await from.scheduler.addJob('work', after('a'), { id: 'b', args: ['b'] });
    const waits = await from.scheduler.enqueue('work', { id: 'w', args: ['w'], dependsOn: 'b' });
    await from.scheduler.start();
    await from.clock.advance({ seconds: 5 });
    const data = JSON.parse(JSON.stringify(await from.scheduler.exportJobs())) as { jobs: { id: string }[] };
    await from.scheduler.shutdown();

    const store = new JsonJobStore();
    const to = makeWorld(store, {}, new VirtualClock(from.clock.now()));
    await to.scheduler.start();
    // One by one, those that follow first.
    for (const id of ['w', 'b', 'a']) await to.scheduler.importJobs({ ...data, jobs: data.jobs.filter((job) => job.id === id) });
    await to.clock.advance({ seconds: 6 });
    assert.deepEqual(to.ran, ['a', 'b after a succeeded', 'w after b succeeded']);
    assert.equal((await to.scheduler.getRuns({ runId: waits.runId }))[0]?.verdict, 'succeeded');
    assert.deepEqual(await ids(store), ['a active', 'b active']);
    await assert.rejects(
      to.scheduler.importJobs({ ...data, jobs: data.jobs.filter((job) => job.id === 'a').map((job) => ({ ...job, definition: { ...(job as { definition?: object }).definition, trigger: after('b').toJSON() } })) }, { onConflict: 'replace' }),
      (error) => isPunctualError(error, 'DEPENDENCY_CYCLE'),
    );
  });

  test('is kept in step with its definitions by sync', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock, ran } = makeWorld(store);
    await scheduler.start();
    const job = (id: string, trigger: unknown): never => ({ id, task: 'work', trigger, args: [id] }) as never;
    const soon = new Date(clock.now() + 1_000);
    await scheduler.sync([job('c', after('b')), job('b', after('a')), job('a', soon)], { owner: 'me' });
    await clock.advance({ seconds: 2 });
    assert.deepEqual(ran, ['a', 'b after a succeeded', 'c after b succeeded']);
    const plan = await scheduler.sync([job('c', after('b')), job('b', after('a')), job('a', soon)], { owner: 'me' });
    assert.equal(plan.isEmpty, true, String(plan));
    // `a` has another name, and `b` follows it.
    ran.length = 0;
    await scheduler.sync([job('c', after('b')), job('b', after('renamed')), job('renamed', new Date(clock.now() + 1_000))], { owner: 'me' });
    await clock.advance({ minutes: 5 });
    assert.deepEqual(ran, ['renamed', 'b after renamed succeeded', 'c after b succeeded']);
    await assert.rejects(scheduler.sync([job('c', after('b'))], { owner: 'others', adopt: true, dryRun: true }).then(() => scheduler.sync([job('d', after('nobody'))], { owner: 'others' })), (error) => isPunctualError(error, 'UNKNOWN_DEPENDENCY'));
  });
});

describe('a job that depends on others', () => {
  test('keeps waiting when it is added again, and has begun once it has', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock, ran } = makeWorld(store);
    await scheduler.start();
    const add = (options: object = {}): Promise<unknown> =>
      scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'b', args: ['b'], dependsOn: 'a', replaceExisting: true, ...options });
    await scheduler.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'a', args: ['a'] });
    await add();
    await clock.advance({ seconds: 30 });
    await add();
    assert.equal((await scheduler.getJob('b'))?.nextRunTime, null);
    await clock.advance({ seconds: 31 });
    assert.deepEqual(ran, ['a']);
    await clock.advance({ seconds: 10 });
    assert.deepEqual(ran, ['a', 'b after a succeeded']);
    await add();
    await clock.advance({ seconds: 10 });
    assert.deepEqual(ran, ['a', 'b after a succeeded', 'b']);
    // By then, what it depended on may be forgotten; and a date that had its run does not come again.
    await add({ dependsOn: 'forgotten' });
    assert.deepEqual((await scheduler.getJob('b'))?.waitsFor, []);
    const date = new Date(clock.now());
    await scheduler.addJob('work', date, { id: 'once', args: ['once'], dependsOn: 'a', replaceExisting: true });
    await scheduler.removeJob('once');
    await scheduler.addJob('work', date, { id: 'once', args: ['once'] });
    await clock.advance(0);
    await scheduler.addJob('work', date, { id: 'once', args: ['once'], dependsOn: 'forgotten', replaceExisting: true });
    assert.equal(await scheduler.getJob('once'), undefined);
    ran.splice(ran.indexOf('once'), 1);
    assert.equal((await scheduler.verifyLedger()).ok, true);
    // What it depends on can be taken away while it waits.
    await scheduler.addJob('work', '@yearly', { id: 'y', args: ['y'] });
    await scheduler.enqueue('work', { id: 'z', args: ['z'], dependsOn: 'y' });
    await scheduler.addJob('work', new Date(clock.now() + 1_000), { id: 'x', args: ['x'], dependsOn: 'y' });
    await scheduler.addJob('work', new Date(clock.now() + 1_000), { id: 'x', args: ['x'], replaceExisting: true });
    await clock.advance({ seconds: 2 });
    assert.equal(ran.includes('x'), true);
    assert.equal(ran.includes('z'), false);
  });

  test('is told wherever it is, paused or not, and can be called off, run by name, or removed', async () => {
    const store = new JsonJobStore();
    const { scheduler, clock, ran } = makeWorld(store);
    await scheduler.start();
    await scheduler.addJob('work', new Date(clock.now() + 10_000), { id: 'a', args: ['a'] });
    for (const id of ['paused', 'cancelled', 'byName', 'removed']) await scheduler.addJob('work', new Date(clock.now()), { id, args: [id], dependsOn: 'a' });
    await scheduler.pauseJob('paused');
    const [next] = (await store.get('cancelled'))?.record.state.nextFireTime === undefined ? [] : [(await store.get('cancelled'))!.record.state.nextFireTime!];
    assert.equal(await scheduler.cancelRun(`cancelled@${next!}`), true);
    await (await scheduler.runJob('byName')).result();
    await scheduler.removeJob('removed');
    assert.deepEqual(ran, ['byName']);
    await clock.advance({ seconds: 10 });
    assert.deepEqual(ran, ['byName', 'a', 'byName after a succeeded']);
    await scheduler.resumeJob('paused', { catchUp: true });
    await clock.advance(0);
    assert.equal(ran.at(-1), 'paused after a succeeded');
    await clock.advance({ minutes: 3 });
    assert.deepEqual(await ids(store), [], 'what was to be told to those who are gone is forgotten');
  });

  test('of a run that will not come, it is told that, too', async () => {
    const { scheduler, clock, ran } = makeWorld(new JsonJobStore());
    await scheduler.start();
    await scheduler.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'a', args: ['a'] });
    const [next] = await scheduler.nextRunTimes('a');
    const pinned = await scheduler.enqueue('work', { id: 'pinned', args: ['pinned'], dependsOn: `a@${next!.getTime()}` });
    const any = await scheduler.enqueue('work', { id: 'any', args: ['any'], dependsOn: 'a' });
    const end = pinned.result().then(() => 'ran', (error: unknown) => error);
    await scheduler.rescheduleJob('a', new IntervalTrigger({ minutes: 2 }));
    await clock.advance({ seconds: 1 });
    assert.ok(isPunctualError(await end, 'RUN_NOT_SUCCEEDED'));
    await clock.advance({ minutes: 3 });
    assert.equal(await any.result(), 'any done');
    assert.deepEqual(ran, ['a', 'any after a succeeded']);
  });

  test('can be one of hundreds', { timeout: 120_000 }, async () => {
    const store = new JsonJobStore();
    const { scheduler, clock, ran } = makeWorld(store);
    await scheduler.start();
    await scheduler.enqueue('work', { id: 'a', args: ['a'], delay: 1_000 });
    await scheduler.addJobs(Array.from({ length: 300 }, (_, i) => ({ task: 'work', trigger: new Date(clock.now() + 500), id: `b${i}`, args: [`b${i}`], dependsOn: 'a' })));
    const last = await scheduler.enqueue('work', { id: 'c', args: ['c'], dependsOn: Array.from({ length: 300 }, (_, i) => `b${i}`) });
    await clock.advance({ seconds: 2 });
    assert.equal(await last.result(), 'c done');
    assert.equal(ran.length, 302);
    assert.deepEqual(await ids(store), []);
  });
});

describe('beside other nodes', () => {
  test('it is told at once, whichever node has which task', async () => {
    const server = new MemoryJobStore({ shared: true });
    const clock = new VirtualClock(START);
    const seen: string[] = [];
    const nodes = ['a', 'b'].map((name) => {
      const scheduler = new AsyncScheduler({ clock, node: name, jobStores: { default: sharedBy(server) }, logger: quiet });
      scheduler.defineTask(name, () => void seen.push(`${name} at ${clock.now() - Date.parse(START)}`));
      return scheduler;
    });
    const [a, b] = nodes as [AsyncScheduler, AsyncScheduler];
    b.defineTask('late', () => undefined);
    await Promise.all(nodes.map((node) => node.start()));
    await a.addJob('a', new IntervalTrigger({ seconds: 10 }), { id: 'a', maxRuns: 2 });
    await b.addJob('b', after('a'), { id: 'b' });
    await clock.advance({ seconds: 25 });
    assert.deepEqual(seen, ['a at 10000', 'b at 10000', 'a at 20000', 'b at 20000']);
    await Promise.all(nodes.map((node) => node.shutdown()));
  });

  test('it is told in the end, even if the only node that knew the other task has died before it told anybody', async () => {
    const server = new MemoryJobStore({ shared: true });
    const clock = new VirtualClock(START);
    let isDead = false;
    const seen: string[] = [];
    const dying = new AsyncScheduler({ clock, node: 'dying', jobStores: { default: sharedBy(server, () => isDead) }, logger: quiet });
    dying.defineTask('a', () => undefined);
    const living = new AsyncScheduler({ clock, node: 'living', jobStores: { default: sharedBy(server) }, logger: quiet });
    living.defineTask('b', () => void seen.push('b'));
    const other = new AsyncScheduler({ clock, node: 'other', jobStores: { default: sharedBy(server) }, logger: quiet });
    other.defineTask('a', () => undefined);
    other.defineTask('b', () => undefined);
    await other.addJob('a', new Date(clock.now() + 5_000), { id: 'a' });
    await other.addJob('b', after('a'), { id: 'after' });
    await other.addJob('b', new Date(clock.now()), { id: 'waits', dependsOn: 'a' });
    await dying.start();
    await living.start();
    // It has written how the run ended, and gets no further.
    const commit = server.commit.bind(server);
    server.commit = (changes) => {
      const answer = commit(changes);
      if (changes.some(({ id, ledger }) => id === 'a' && ledger.length > 0)) isDead = true;
      return answer;
    };
    await clock.advance({ seconds: 10 });
    assert.equal(isDead, true);
    assert.deepEqual(seen, []);
    await clock.advance({ minutes: 5 });
    assert.deepEqual(seen, ['b', 'b']);
    await Promise.all([living, other].map((node) => node.shutdown()));
  });
});

test('what ends while a job that waits for it is being added is looked up', async () => {
  // The run ends between any two questions that are asked on the way.
  for (const [verdict, recurring] of [['succeeded', true], ['succeeded', false], ['failed', true], ['failed', false]] as const) {
    for (let question = 0; question < 12; question++) {
      const store = new JsonJobStore();
      const { scheduler, clock, ran, fails, release } = makeGatedWorld(store);
      if (verdict === 'failed') fails.add('a');
      await scheduler.start();
      await scheduler.addJob('gated', recurring ? new IntervalTrigger({ seconds: 10 }) : new Date(clock.now() + 10_000), { id: 'a', args: ['a'] });
      await scheduler.addJob('work', after('a'), { id: 'other', args: ['other'] });
      await clock.advance({ seconds: 10 });
      let asked = 0;
      const get = store.get.bind(store);
      const insert = store.insert.bind(store);
      const between = async (): Promise<void> => {
        if (asked++ !== question) return;
        store.get = get;
        store.insert = insert;
        release();
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => { setImmediate(resolve); });
      };
      store.get = async (id) => { await between(); return get(id); };
      store.insert = async (records) => { await between(); return insert(records); };
      const run = await scheduler.enqueue('work', { id: 'b', args: ['b'], dependsOn: `a@${clock.now()}` });
      store.get = get;
      store.insert = insert;
      release();
      const end = run.result().then(() => 'succeeded', () => 'failed');
      await clock.advance({ seconds: 3 });
      assert.equal(await Promise.race([end, Promise.resolve('pending').then(() => new Promise((resolve) => { setImmediate(() => { resolve('pending'); }); }))]), verdict, `question ${question}, ${verdict}, ${recurring}`);
      assert.equal(ran.includes('b after a succeeded'), verdict === 'succeeded');
    }
  }
});

test('a job that is written long after it was entered finds out that nobody remembers it', async () => {
  // Its process stood still in between, for longer than a follower nobody knows of is kept.
  for (const kind of ['dependsOn', 'after'] as const) {
    const store = new JsonJobStore();
    const { scheduler, clock, ran } = makeWorld(store, { storeTimeout: { hours: 1 }, leaseDuration: { hours: 3 } });
    await scheduler.start();
    await scheduler.addJob('work', new Date(clock.now() + 30_000), { id: 'other', args: ['other'] });
    await scheduler.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'a', args: ['a'] });
    const insert = store.insert.bind(store);
    store.insert = async (records) => {
      store.insert = insert;
      await clock.sleep({ minutes: 5 });
      return insert(records);
    };
    const pinned = (await scheduler.nextRunTimes('a'))[0]!.getTime();
    const adding = kind === 'after' ? scheduler.addJob('work', after('a'), { id: 'b', args: ['b'] }) : scheduler.enqueue('work', { id: 'b', args: ['b'], dependsOn: `a@${pinned}` });
    await clock.advance({ minutes: 4, seconds: 30 });
    assert.equal((await store.get('a'))?.record.state.links, undefined, 'it is forgotten');
    await clock.advance({ minutes: 1 });
    await adding;
    await clock.advance({ minutes: 2 });
    const count = ran.filter((line) => line === 'b after a succeeded').length;
    if (kind === 'dependsOn') assert.equal(count, 1);
    else assert.ok(count >= 1 && count <= 3, `${count} runs`);
    await clock.advance({ minutes: 2 });
    assert.equal(ran.filter((line) => line === 'b after a succeeded').length, kind === 'dependsOn' ? 1 : count + 2);
  }
});

/** One node's way to a store in memory; once it is dead, nothing is answered. */
function sharedBy(server: MemoryJobStore, isDead: () => boolean = () => false): MemoryJobStore {
  return new Proxy(server, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property === 'close') return () => undefined;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (isDead()) return property === 'watch' ? () => undefined : new Promise(() => undefined);
        const answer = (value as (...a: unknown[]) => unknown).apply(target, args);
        return property === 'watch' ? answer : Promise.resolve(answer).then((result: unknown) => (isDead() ? new Promise(() => undefined) : result));
      };
    },
  });
}

/** A world with a second task, `gated(name)`, whose runs end when they are released. */
function makeGatedWorld(store: JsonJobStore): World & { release: () => void } {
  const world = makeWorld(store);
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => { release = resolve; });
  world.scheduler.defineTask('gated', async (name: string) => {
    await gate;
    if (world.fails.has(name)) throw new Error(`${name} failed`);
  });
  return { ...world, release: () => { release(); } };
}
