import { SystemClock, type JobRecord, type JobStore } from 'punctual';
import { RedisJobStore } from 'punctual/redis';
import { storeContext } from 'punctual/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { claim, dueAt, jobRecord, ledgerEntry, runningRun, scope, T0, withState } from '../../../src/testing/contracts/job-store/records.js';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { RedisServer } from '../../support/redis-server.js';
import { describeRedis, freshPrefix, openIoredis, openNodeRedis, openStore, twoStores } from './support.js';

const DAY = 86_400_000;

function idsIn(jobs: readonly { readonly record: JobRecord }[]): string[] {
  return jobs.map(({ record }) => record.id);
}

async function maintainAll(store: JobStore, now: number): Promise<number> {
  let pieces = 0;
  while (await store.maintain!(now)) pieces += 1;
  return pieces;
}

async function fireTimes(store: JobStore, jobId?: string): Promise<number[]> {
  const { entries } = await store.ledger.list({ jobId, limit: 10_000 });
  return entries.map(({ scheduledFor }) => scheduledFor - T0);
}

async function ownServer(settings: Record<string, string> = {}): Promise<RedisServer> {
  const server = await RedisServer.start({ appendfsync: 'everysec', ...settings });
  onTestFinished(() => server.stop());
  return server;
}

describeRedis('several stores on one prefix', (server) => {
  it('claim at one time without a job going to two, and commit each once', async () => {
    const [a, b] = await twoStores(server());
    const all = Array.from({ length: 500 }, (_, i) => jobRecord(`job${i}`, T0 + i, { policy: { priority: i % 3 } }));
    await a.insert(all);
    const claims: string[] = [];
    const won: string[] = [];
    const work = async (store: JobStore): Promise<void> => {
      for (;;) {
        const due = await store.claimDue(claim(T0 + 1_000, { limit: 20, reserveMs: 60_000 }));
        if (due.length === 0) return;
        claims.push(...idsIn(due));
        const changes = due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: dueAt(record, null), ledger: [ledgerEntry(record.id, T0)] }));
        (await store.commit(changes)).forEach((revision, i) => { if (revision !== undefined) won.push(due[i]!.record.id); });
      }
    };
    await Promise.all([work(a), work(b), work(a), work(b)]);
    const ids = all.map(({ id }) => id).sort();
    expect(claims.sort()).toEqual(ids);
    expect(won.sort()).toEqual(ids);
    expect(await fireTimes(a)).toHaveLength(500);
  });

  it('claims merge many lanes: the earliest of all of one priority, however they are spread', async () => {
    const [a] = await twoStores(server());
    const tasks = Array.from({ length: 40 }, (_, i) => `task${i}`);
    const records = Array.from({ length: 600 }, (_, i) => jobRecord(`job${i}`, T0 + ((i * 7) % 600), { definition: { task: tasks[(i * i) % 40]! }, policy: { executor: i % 2 === 0 ? 'even' : 'odd' } }));
    await a.insert(records);
    const due = await a.claimDue(claim(T0 + 1_000, { limit: 300, tasks: new Map(tasks.map((task) => [task, 1])), executors: new Map([['even', 1_000], ['odd', 5]]) }));
    const sorted = [...records].sort((x, y) => x.state.nextDueAt! - y.state.nextDueAt!);
    let odd = 0;
    const wanted = sorted.filter(({ definition }) => definition.policy.executor === 'even' || (odd += 1) <= 5).slice(0, 300);
    expect(idsIn(due)).toEqual(wanted.map(({ id }) => id));
  });

  it('what a node cannot serve costs a claim nothing, and a lane that comes or goes is noticed by all', async () => {
    const [a, b] = await twoStores(server());
    await a.insert(Array.from({ length: 50 }, (_, i) => jobRecord(`other${i}`, T0, { definition: { task: `elsewhere${i}` } })));
    expect(await b.claimDue(claim(T0))).toEqual([]);
    expect(await b.nextWakeAt(scope())).toBeNull();
    await a.insert([jobRecord('mine')]);
    const [due] = await b.claimDue(claim(T0));
    expect(due?.record.id).toBe('mine');
    await b.commit([{ id: 'mine', expected: due!.revision, next: dueAt(due!.record, null), ledger: [] }]);
    await maintainAll(a, T0);
    const { revision, record } = (await a.get('mine'))!;
    await a.commit([{ id: 'mine', expected: revision, next: dueAt(record, T0), ledger: [] }]);
    expect(idsIn(await b.claimDue(claim(T0)))).toEqual(['mine']);
  });

  it('a definition that did not change is neither read nor written again, and one that changed elsewhere is', async () => {
    const [a, b] = await twoStores(server());
    await a.insert([jobRecord('job')]);
    const first = (await a.get('job'))!;
    const [second] = await a.commit([{ id: 'job', expected: first.revision, next: dueAt(first.record, T0 + 1), ledger: [] }]);
    expect((await a.get('job'))?.record.definition).toBe(first.record.definition);
    const changed = { ...first.record, definition: { ...first.record.definition, args: [7] } };
    const [third] = await b.commit([{ id: 'job', expected: second!, next: changed, ledger: [] }]);
    // Whoever still has the old definition has the old revision with it; if not, nothing is mixed.
    expect(await a.commit([{ id: 'job', expected: third!, next: first.record, ledger: [] }])).toEqual([undefined]);
    expect((await a.get('job'))?.record.definition.args).toEqual([7]);
  });

  it('claims bring the definitions a node does not know, also after a time in which it knew all', async () => {
    const [a, b] = await twoStores(server());
    await a.insert(Array.from({ length: 4 }, (_, i) => jobRecord(`known${i}`, T0)));
    await b.claimDue(claim(T0, { reserveMs: 1 }));
    await b.claimDue(claim(T0 + 1, { reserveMs: 1 }));
    await a.insert([jobRecord('new', T0, { definition: { args: ['fresh'] } })]);
    const due = await b.claimDue(claim(T0 + 2));
    expect(idsIn(due).sort()).toEqual(['known0', 'known1', 'known2', 'known3', 'new']);
    expect(due.find(({ record }) => record.id === 'new')?.record.definition.args).toEqual(['fresh']);
  });

  it('claims bring the definitions of jobs that were added together, too, where no two jobs may have one', async () => {
    const [a, b] = await twoStores(server());
    const calls = async (): Promise<number> => Number(/cmdstat_evalsha:calls=(\d+)/.exec(String(await server().command('INFO', 'commandstats')))?.[1]);
    const asked: number[] = [];
    for (let turn = 0; turn < 6; turn++) {
      await a.insert(Array.from({ length: 10 }, (_, i) => jobRecord(`${turn} ${i}`, T0, { definition: { metadata: { team: 'mail' } } })));
      const before = await calls();
      expect(await b.claimDue(claim(T0, { reserveMs: DAY }))).toHaveLength(10);
      asked.push((await calls()) - before);
    }
    // Whoever had to ask for them has them come along the next time, in the same round trip.
    expect(asked.slice(2)).toEqual([1, 3, 1, 3]);
  });

  it('are told of what others write in less than a second, in few notices, and of nothing they write themselves', async () => {
    const [a, b] = await twoStores(server());
    const heard = vi.fn();
    await a.watch(heard);
    const told = vi.fn();
    await b.watch(told);
    for (let i = 0; i < 100; i++) await b.insert([jobRecord(`theirs${i}`)]);
    await expect.poll(() => heard.mock.calls.length, { interval: 5 }).toBeGreaterThan(0);
    expect(heard.mock.calls.length).toBeLessThan(50);
    await a.insert([jobRecord('mine')]);
    await expect.poll(() => told.mock.calls.length, { interval: 5 }).toBe(1);
  });

  it('a claim by a clock that was wrong hides nothing for long', async () => {
    const [a] = await twoStores(server());
    await a.insert([jobRecord('job', T0 - 2 * DAY)]);
    expect(await a.claimDue(claim(T0))).toHaveLength(1);
    expect(await a.claimDue(claim(T0))).toEqual([]);
    expect(idsIn(await a.claimDue(claim(T0 - DAY)))).toEqual(['job']);
  });
});

describeRedis('leases', (server) => {
  const ask = (holder: string, key = 'k') => ({ key, holder, now: T0, ttlMs: 1_000 });

  it('are given to nobody with a token that was given before, also when a failover has forgotten them', async () => {
    const [a, b, prefix] = await twoStores(server());
    const first = await a.leases.acquire(ask('a'));
    await server().command('DEL', `{${prefix}}:leases`);
    const second = await b.leases.acquire(ask('b'));
    expect(second!.token).toBeGreaterThan(first!.token);
    expect(Number.isSafeInteger(second!.token)).toBe(true);
    expect(await a.leases.acquire(ask('a'))).toBeUndefined();
  });

  it('that were released take no room for ever, and tokens grow on all the same', async () => {
    const [store, , prefix] = await twoStores(server());
    await store.leases.acquire(ask('holds', 'held'));
    for (let i = 0; i < 600; i++) await server().command('HSET', `{${prefix}}:leases`, `k${i}`, `${9e15 + i} - `);
    await maintainAll(store, T0);
    expect(await server().command('HKEYS', `{${prefix}}:leases`)).toEqual(['held']);
    expect((await store.leases.acquire(ask('a', 'k0')))!.token).toBeGreaterThan(9e15 + 599);
  });
});

describeRedis('what is stored', (server) => {
  it('texts of any kind, in ids as well', async () => {
    const [store] = await twoStores(server());
    const texts = ['x'.repeat(1_000), '😀'.repeat(250), '{jobs}', '\\', '{"a":1}', ' ', 'ÀÉ', 'İK', '\u0001\n\t', 'nul\0', 'NULL', 'of:x', '\u{10ffff}'];
    await store.insert(texts.map((text) => jobRecord(text, T0, { definition: { task: text, tags: [text, text], name: text, owner: text, args: [text] } })));
    expect([...(await store.tasks())].sort()).toEqual([...texts].sort());
    for (const text of texts) {
      for (const query of [{ tags: [text] }, { task: text }, { owner: text }, { text: text.toLowerCase() }]) {
        expect(idsIn((await store.list({ ...query, limit: 20 })).jobs)).toContain(text);
      }
      expect(idsIn(await store.claimDue(claim(T0, { tasks: new Map([[text, 1]]) })))).toEqual([text]);
      const { revision, record } = (await store.get(text))!;
      expect(record.definition).toMatchObject({ args: [text], tags: [text, text], owner: text });
      expect((await store.commit([{ id: text, expected: revision, next: null, ledger: [ledgerEntry(text, T0)] }]))[0]).toBeDefined();
      expect(await store.ledger.list({ runId: `${text}@${T0}`, limit: 9 })).toMatchObject({ entries: [{ jobId: text }] });
    }
  });

  it('a serializer that adds a job while a batch is put together changes nothing of it', async () => {
    const context = storeContext(new SystemClock());
    const { codec } = context;
    const store = await openStore({ url: server().url(), prefix: freshPrefix() }, context);
    await store.insert(['a', 'b'].map((id) => jobRecord(id, T0)));
    const changes = [...(await store.claimDue(claim(T0)))].map(({ record, revision }) => ({ id: record.id, expected: revision, next: dueAt(record, T0 + 1), ledger: [] }));
    const encode = codec.encodeState.bind(codec);
    const added: unknown[] = [];
    const serializing = vi.spyOn(codec, 'encodeState').mockImplementation((record) => {
      serializing.mockRestore();
      added.push(store.insert([jobRecord('aside', T0 + 2)]));
      return encode(record);
    });
    expect(await store.commit(changes)).not.toContain(undefined);
    await Promise.all(added);
    expect((await store.list({ limit: 9 })).jobs.map(({ record: { id, state } }) => [id, state.nextFireTime])).toEqual([['a', T0 + 1], ['aside', T0 + 2], ['b', T0 + 1]]);
  });

  it('what cannot be looked up again is refused, and nothing of its batch is kept', async () => {
    const [store] = await twoStores(server());
    const bad = [
      jobRecord('half \ud800'),
      jobRecord('tag', T0, { definition: { tags: ['\udc00'] } }),
      jobRecord('task', T0, { definition: { task: 'a\ud800' } }),
      jobRecord('fn', T0, { definition: { args: [() => 1] } }),
    ];
    for (const record of bad) await expect(store.insert([jobRecord('good'), record])).rejects.toMatchObject({ code: 'JOB_UNSTORABLE' });
    await store.insert([jobRecord('half \ufffd', T0, { definition: { tags: ['\ufffd'] } })]);
    expect(idsIn((await store.list({ limit: 2 })).jobs)).toEqual(['half \ufffd']);
    expect(await store.get('half \ud800')).toBeUndefined();
    expect((await store.list({ tags: ['\ud800'], limit: 2 })).jobs).toEqual([]);
  });

  it('a record that cannot be read is kept as it was found, and holds up no other', async () => {
    const [store, , prefix] = await twoStores(server());
    await store.insert(['a', 'b', 'c'].map((id) => jobRecord(id, T0, { definition: { tags: ['t'] }, policy: { priority: 7 } })));
    await server().command('HSET', `{${prefix}}:def`, 'a', '{"v":1,');
    await server().command('HSET', `{${prefix}}:state`, 'b', '[]');
    await server().command('HDEL', `{${prefix}}:state`, 'c');
    const due = await store.claimDue(claim(T0));
    expect(idsIn(due).sort()).toEqual(['a', 'b', 'c']);
    const changes = due.map(({ record, revision }) => ({ id: record.id, expected: revision, next: withState(record, { status: 'quarantined' as const }), ledger: [] }));
    expect((await store.commit(changes)).every((revision) => revision !== undefined)).toBe(true);
    expect(await server().command('HGET', `{${prefix}}:def`, 'a')).toBe('{"v":1,');
    expect(idsIn((await store.list({ tags: ['t'], statuses: ['quarantined'], limit: 9 })).jobs)).toEqual(['a', 'b', 'c']);
  });

  it.each(['{"v":1,', '', '7,8', '7,8,9', '7', 'null', undefined])('a state that somebody has made %j of holds up no job that is claimed with it', async (broken) => {
    const [store, other, prefix] = await twoStores(server());
    const ids = ['a', 'b', 'c'];
    await store.insert(ids.map((id) => jobRecord(id, T0)));
    // From the second claim on the definitions are known, and come no longer along.
    await other.claimDue(claim(T0, { reserveMs: 1 }));
    if (broken === undefined) await server().command('HDEL', `{${prefix}}:state`, 'b');
    else await server().command('HSET', `{${prefix}}:state`, 'b', broken);
    const found = new Map<string, string>();
    for (let turn = 1; found.size < ids.length; turn++) {
      expect(turn).toBeLessThan(4);
      for (const { record } of await other.claimDue(claim(T0 + turn * 1_000, { reserveMs: 1 }))) found.set(record.id, record.definition.trigger.unreadable === undefined ? 'whole' : 'unreadable');
    }
    expect(Object.fromEntries(found)).toEqual({ a: 'whole', b: 'unreadable', c: 'whole' });
  });

  it('jobs of which some are alike are claimed and committed each as its own, beside one that somebody else was first with', async () => {
    const [store, other] = await twoStores(server());
    const counts = [1, 1, 2, 2, 2, 1, 3, 3];
    const records = counts.map((runCount, i) => jobRecord(`job${i}`, T0, { definition: { task: i === 5 ? 'aside' : 'work' }, state: { runCount } }));
    await store.insert(records);
    const tasks = new Map([['work', 1], ['aside', 1]]);
    await other.claimDue(claim(T0, { tasks, reserveMs: 1 }));
    const due = [...(await other.claimDue(claim(T0 + 1_000, { tasks, reserveMs: 1 })))].sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
    expect(due.map(({ record }) => record)).toEqual(records);
    const taken = (await store.get('job3'))!;
    expect(await store.commit([{ id: 'job3', expected: taken.revision, next: dueAt(taken.record, T0 + 9), ledger: [] }])).not.toContain(undefined);
    const changes = due.map(({ record, revision }, i) => ({
      id: record.id,
      expected: revision,
      next: withState(record, { nextFireTime: T0 + 50 + (i >> 1), nextDueAt: T0 + 50 + (i >> 1), runCount: counts[i]! + 1 }),
      ledger: [ledgerEntry(record.id, T0, { node: i < 4 ? 'a' : 'b', runId: null, verdict: i % 4 === 0 ? 'failed' : 'succeeded' })],
    }));
    const answers = await other.commit(changes);
    expect(answers.map((answer) => answer === undefined)).toEqual(counts.map((_, i) => i === 3));
    for (const [i, { id, next, ledger }] of changes.entries()) {
      if (i === 3) continue;
      expect(await store.get(id)).toEqual({ record: next, revision: answers[i] });
      expect((await store.ledger.list({ jobId: id, limit: 9 })).entries).toEqual(ledger);
    }
    expect((await store.get('job3'))?.record.state.nextFireTime).toBe(T0 + 9);
    expect(await fireTimes(store, 'job3')).toEqual([]);
    expect((await store.ledger.list({ verdicts: ['failed'], limit: 9 })).entries.map(({ jobId }) => jobId)).toEqual(['job0', 'job4']);
  });

  it('ids with quotes, backslashes and line breaks are claimed as they are', async () => {
    const [store, other] = await twoStores(server());
    const ids = ['"', '\\', 'a\nb', '\0', 'é"', ' ', '\x7f'];
    await store.insert(ids.map((id) => jobRecord(id, T0)));
    for (const turn of [0, 1_000]) expect(idsIn(await other.claimDue(claim(T0 + turn, { reserveMs: 1 }))).sort()).toEqual([...ids].sort());
  });

  it('pages of many jobs, filtered in every way, in batches larger than one call', async () => {
    const [store] = await twoStores(server());
    const records = Array.from({ length: 2_500 }, (_, i) =>
      jobRecord(`job${String(i).padStart(4, '0')}`, T0, {
        definition: { tags: i % 3 === 0 ? ['third'] : [], task: i % 2 === 0 ? 'even' : 'odd', owner: i % 5 === 0 ? 'me' : null },
        state: { status: i % 7 === 0 ? 'paused' : 'active', runs: i % 11 === 0 ? [runningRun(`job${i}`, T0)] : [] },
      }),
    );
    const added = await store.insert(records);
    expect(new Set(added.map((stored) => stored?.revision)).size).toBe(3);
    const all = async (query: object): Promise<string[]> => {
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.list({ ...query, limit: 37, after });
        found.push(...idsIn(page.jobs));
        after = page.nextCursor ?? undefined;
      } while (after !== undefined);
      return found;
    };
    const where = (test: (i: number) => boolean): string[] => records.filter((_, i) => test(i)).map(({ id }) => id);
    expect(await all({ tags: ['third'], task: 'odd', owner: 'me' })).toEqual(where((i) => i % 3 === 0 && i % 2 === 1 && i % 5 === 0));
    expect(await all({ statuses: ['active'], running: true })).toEqual(where((i) => i % 7 !== 0 && i % 11 === 0));
    expect(await all({ statuses: ['paused'], text: 'B00', triggerKind: 'interval' })).toEqual(where((i) => i % 7 === 0 && i < 100));
    const changes = (await store.list({ limit: 2_500 })).jobs.map(({ record, revision }) => ({ id: record.id, expected: revision, next: null, ledger: [ledgerEntry(record.id, T0)] }));
    expect((await store.commit(changes)).every((revision) => revision !== undefined)).toBe(true);
    expect(await all({})).toEqual([]);
    expect(await store.tasks()).toEqual([]);
    expect(await fireTimes(store)).toHaveLength(2_500);
  });
});

describeRedis('indexes that somebody broke', (server) => {
  it('are mended, in small pieces, and a word is said of it', async () => {
    const logger = new MemoryLogger();
    const prefix = freshPrefix();
    const store = await openStore({ url: server().url(), prefix }, { ...storeContext(new SystemClock()), logger });
    const more = { definition: { tags: ['t'], owner: 'me' }, state: { status: 'paused' as const, runs: [runningRun('x', T0 + 5)] } };
    await store.insert([...Array.from({ length: 450 }, (_, i) => jobRecord(`job${i}`, T0 + i)), jobRecord('x', T0, more)]);
    const raw = (command: string, key: string, ...args: (string | number)[]): Promise<unknown> => server().command(command, `{${prefix}}:${key}`, ...args);
    const [lane] = ((await raw('SMEMBERS', 'lanes')) as string[]);
    await raw('ZREM', 'ids', 'job0', 'x');
    await raw('ZADD', 'ids', 0, 'ghost');
    await raw('ZREM', `due:${lane!}`, 'job1', 'x');
    await raw('ZADD', `due:${lane!}`, T0, 'ghost', T0 + 9e9, 'job2');
    await raw('DEL', 'idx');
    await raw('ZADD', 'idx', 0, 't4:workghost', 0, 'g1:tjob3', 0, 'r:job3', 0, 's:qjob3', 0, 'r:ghost');
    await raw('DEL', 'lanes');
    expect(await maintainAll(store, T0)).toBeGreaterThan(6);
    expect(logger.messages('warn')).toEqual([expect.stringContaining('were mended')]);
    expect((await store.list({ limit: 1_000 })).jobs).toHaveLength(451);
    for (const query of [{ tags: ['t'] }, { owner: 'me' }, { running: true as const }, { statuses: ['paused' as const] }]) expect(idsIn((await store.list({ ...query, limit: 9 })).jobs)).toEqual(['x']);
    expect((await store.list({ statuses: ['quarantined'], limit: 9 })).jobs).toEqual([]);
    expect((await store.list({ task: 'work', limit: 1_000 })).jobs).toHaveLength(451);
    const due = await (await openStore({ url: server().url(), prefix })).claimDue(claim(T0 + 1_000, { limit: 1_000, executors: new Map([['default', 1_000]]) }));
    expect(due).toHaveLength(451);
    await maintainAll(store, T0 + DAY);
    expect(logger.messages('warn')).toHaveLength(1);
  });

  it('do not make a claim answer what is not there, or is another lane’s', async () => {
    const [store, , prefix] = await twoStores(server());
    await store.insert([jobRecord('mine', T0), jobRecord('theirs', T0, { definition: { task: 'elsewhere' } })]);
    const lanes = (await server().command('SMEMBERS', `{${prefix}}:lanes`)) as string[];
    const lane = lanes.find((name) => name.endsWith('work'))!;
    await server().command('ZADD', `{${prefix}}:due:${lane}`, T0 - 9, 'ghost', T0 - 8, 'theirs');
    expect(idsIn(await store.claimDue(claim(T0)))).toEqual(['mine']);
    expect(await server().command('ZCARD', `{${prefix}}:due:${lane}`)).toBe(1);
  });
});

describeRedis('a server that forgets its scripts', (server) => {
  it('is told them again', async () => {
    const [store] = await twoStores(server());
    await store.insert([jobRecord('job')]);
    await server().command('SCRIPT', 'FLUSH');
    const [first, second, due] = await Promise.all([store.get('job'), store.get('job'), store.claimDue(claim(T0))]);
    expect([first?.record.id, second?.record.id, ...idsIn(due)]).toEqual(['job', 'job', 'job']);
  });
});

describe.each(['ioredis', 'redis'] as const)('with connections of %s', (kind) => {
  const clientOf = (server: RedisServer) => (kind === 'ioredis' ? Promise.resolve(openIoredis(server)) : openNodeRedis(server));

  describeRedis('that are killed', (server) => {
    it('calls fail or succeed, none is repeated, and the next ones go through; notices come again', async () => {
      const prefix = freshPrefix();
      const logger = new MemoryLogger();
      const store = await openStore({ client: await clientOf(server()), prefix }, { ...storeContext(new SystemClock()), logger });
      const other = await openStore({ url: server().url(), prefix });
      const heard = vi.fn();
      await store.watch(heard);
      const attempts: Promise<unknown>[] = [];
      for (let i = 0; i < 60; i++) {
        attempts.push(store.insert([jobRecord(`job${i}`)]).catch((error: unknown) => error));
        if (i % 20 === 10) {
          await server().command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
          await server().command('CLIENT', 'KILL', 'TYPE', 'pubsub');
        }
      }
      const answers = await Promise.all(attempts);
      const there = new Set(idsIn((await other.list({ limit: 100 }).catch(() => other.list({ limit: 100 }))).jobs));
      answers.forEach((answer, i) => {
        if (answer instanceof Error) expect(answer).toMatchObject({ code: 'STORE_UNUSABLE', reason: 'unreachable' });
        // Nobody is told that an id is taken which it has itself just taken: that is what a repeated call would say.
        else expect(answer).toEqual([expect.objectContaining({ revision: expect.any(String) })]);
        if (!(answer instanceof Error)) expect(there).toContain(`job${i}`);
      });
      await expect.poll(() => store.insert([jobRecord('after')]).then(() => 'ok', () => 'not yet'), { timeout: 5_000 }).toBe('ok');
      await expect.poll(() => heard.mock.calls.length, { timeout: 10_000 }).toBeGreaterThan(0);
      const before = heard.mock.calls.length;
      await expect.poll(async () => {
        await other.insert([jobRecord(`more${Math.random()}`)]);
        return heard.mock.calls.length;
      }, { timeout: 10_000, interval: 100 }).toBeGreaterThan(before);
    });
  });

  describeRedis('to a server that hangs', () => {
    it('looks like one that fails, holds up no end, and is used again when it goes on', async () => {
      const server = await ownServer();
      const store = await openStore({ client: await clientOf(server), prefix: freshPrefix(), timeout: 300 });
      await store.watch(() => undefined);
      const thaw = server.freeze();
      onTestFinished(thaw);
      await expect(store.get('job')).rejects.toMatchObject({ reason: 'timeout' });
      await expect(store.get('job')).rejects.toMatchObject({ reason: expect.stringMatching(/timeout|unreachable/) });
      thaw();
      await expect.poll(() => store.get('job').catch(() => 'not yet'), { timeout: 5_000 }).toBeUndefined();
      const again = server.freeze();
      onTestFinished(again);
      await store.close();
      again();
    });
  });

  describeRedis('to a server that goes and comes back', () => {
    it('fail at once while it is away, with nothing left in a queue, and find what was stored', async () => {
      const server = await ownServer({ appendfsync: 'always' });
      const client = await clientOf(server);
      const store = await openStore({ client, prefix: freshPrefix() });
      await store.insert([jobRecord('before')]);
      await server.halt();
      await expect(store.insert([jobRecord('meanwhile')])).rejects.toMatchObject({ reason: 'unreachable' });
      await expect(store.insert([jobRecord('meanwhile')])).rejects.toMatchObject({ reason: 'unreachable' });
      await server.resume();
      await expect.poll(() => store.get('before').then((stored) => stored?.record.id, () => 'not yet'), { timeout: 5_000 }).toBe('before');
      expect(await store.get('meanwhile')).toBeUndefined();
    });
  });
});

describeRedis('a server whose memory is full', () => {
  it('refuses writes as a whole, lets go of what is no longer needed, and goes on', async () => {
    const server = await ownServer();
    const store = await openStore({ url: server.url(), prefix: 'p', ledger: { maxAge: { days: 1 } } });
    const [stored, goes] = await store.insert([jobRecord('stays'), jobRecord('goes')]);
    await server.command('CONFIG', 'SET', 'maxmemory', 1);
    await expect(store.insert([jobRecord('more')])).rejects.toMatchObject({ reason: 'out-of-memory', message: expect.stringContaining('maxmemory') });
    const change = { id: 'stays', expected: stored!.revision, next: dueAt(stored!.record, T0 + 7), ledger: [ledgerEntry('stays', T0)] };
    await expect(store.commit([change])).rejects.toMatchObject({ reason: 'out-of-memory' });
    expect(await store.get('stays')).toMatchObject({ revision: stored!.revision });
    expect(await fireTimes(store)).toEqual([]);
    // What makes room is done.
    expect((await store.commit([{ id: 'goes', expected: goes!.revision, next: null, ledger: [] }]))[0]).toBeDefined();
    await server.command('CONFIG', 'SET', 'maxmemory', 0);
    expect((await store.commit([change]))[0]).toBeDefined();
    expect(await fireTimes(store)).toEqual([0]);
  });
});

describeRedis('a master that becomes a replica', () => {
  it('is said to take no writes, and is used again once it does', async () => {
    const [server, master] = [await ownServer(), await ownServer()];
    const store = new RedisJobStore({ url: server.url(), prefix: 'p' });
    await store.open(storeContext(new SystemClock()));
    onTestFinished(() => store.close());
    await server.command('REPLICAOF', '127.0.0.1', master.port);
    await expect(store.insert([jobRecord('job')])).rejects.toMatchObject({ reason: expect.stringMatching(/read-only|unreachable/) });
    await server.command('REPLICAOF', 'NO', 'ONE');
    await expect.poll(() => store.insert([jobRecord('job')]).then(([answer]) => answer !== undefined, () => false), { timeout: 5_000 }).toBe(true);
  });
});
