import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { currentRun, IntervalTrigger } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { expect, it } from 'vitest';
import { makeWorld, MINUTE, START, START_MS, type World } from './support/world.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });

/** A pid that was somebody's a moment ago. */
function deadPid(): number {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  return pid;
}

/** A store with a run that was going on under `node` in the process `holder`. */
async function crashed(holder: string, node = 'web-1', onCrash: 'retry' | 'drop' = 'retry'): Promise<JsonJobStore> {
  const jobStore = new JsonJobStore();
  const { clock, scheduler } = makeWorld({ jobStores: { default: jobStore }, node, leaseDuration: MINUTE });
  scheduler.defineTask('work', () => clock.sleep({ hours: 1 }));
  await scheduler.addJob('work', every(10), { id: 'job', onCrash });
  await scheduler.start();
  await clock.advance({ seconds: 10 });
  const { record, revision } = (await jobStore.get('job'))!;
  const runs = record.state.runs.map((run) => (run.state === 'running' ? { ...run, process: holder } : run));
  await jobStore.commit([{ id: 'job', expected: revision, next: { ...record, state: { ...record.state, runs } }, ledger: [] }]);
  return jobStore;
}

/** The next process, ten seconds later, and the attempts it makes in its first second and in the lease's time. */
async function restarted(jobStore: JsonJobStore, node?: string): Promise<{ world: World; atOnce: string[]; later: string[] }> {
  const attempts: string[] = [];
  const world = makeWorld({ jobStores: { default: jobStore }, ...(node === undefined ? { node: undefined } : { node }) });
  await world.clock.advance({ seconds: 20 });
  world.scheduler.defineTask('work', () => {
    const { scheduledFor, attempt } = currentRun();
    if (attempt > 1) attempts.push(`${(scheduledFor.getTime() - START_MS) / 1_000} s, attempt ${attempt}`);
  });
  await world.scheduler.start();
  await world.clock.advance({ seconds: 1 });
  const atOnce = [...attempts];
  await world.clock.advance({ minutes: 1 });
  return { world, atOnce, later: attempts };
}

it('takes up at once what the process of the same name left when it died', async () => {
  const { world, atOnce } = await restarted(await crashed(`${hostname()}:${deadPid()}:abc`), 'web-1');
  expect(atOnce).toEqual(['10 s, attempt 2']);
  expect(world.recorder.of('jobAbandoned')).toMatchObject([{ owner: 'web-1', retried: true, attempt: 1 }]);
  expect((await world.scheduler.verifyLedger()).problems).toEqual([]);
});

it('gives up at once a run that must start at most once', async () => {
  const { world, later } = await restarted(await crashed(`${hostname()}:${deadPid()}:abc`, 'web-1', 'drop'), 'web-1');
  expect(later).toEqual([]);
  expect(await world.scheduler.getRuns({ verdict: 'abandoned' })).toMatchObject([{ reason: 'on-crash-drop', attempt: 1 }]);
});

it.each([
  ['is alive', `${hostname()}:${process.ppid}:abc`],
  ['is on another host', 'elsewhere:1:abc'],
  ['is unknown', 'whatever'],
])('waits for the leases where the other process of its name %s, and says so', async (_, holder) => {
  const { world, atOnce, later } = await restarted(await crashed(holder), 'web-1');
  expect(atOnce).toEqual([]);
  expect(later).toEqual(['10 s, attempt 2']);
  expect(world.logger.messages('warn').filter((message) => message.includes('another process may be running as node "web-1"'))).toHaveLength(1);
});

it.each([['another name', 'web-2'], ['no name', undefined]])('waits for the leases with %s', async (_, node) => {
  const { atOnce, later } = await restarted(await crashed(`${hostname()}:${deadPid()}:abc`), node);
  expect(atOnce).toEqual([]);
  expect(later).toEqual(['10 s, attempt 2']);
});

it('leaves the runs of another living scheduler of its name in this process alone', async () => {
  const jobStore = new JsonJobStore();
  const first = makeWorld({ jobStores: { default: jobStore }, node: 'same' });
  first.scheduler.defineTask('work', () => first.clock.sleep({ hours: 1 }));
  await first.scheduler.addJob('work', every(10), { id: 'job' });
  await first.scheduler.start();
  await first.clock.advance({ seconds: 10 });
  const second = makeWorld({ jobStores: { default: jobStore }, node: 'same', clock: first.clock });
  const attempts: number[] = [];
  second.scheduler.defineTask('work', () => void attempts.push(currentRun().attempt));
  await second.scheduler.start();
  await first.clock.advance({ minutes: 2 });
  expect(attempts).toEqual([]);
});

it('leaves the runs of a living process alone, whoever of its name comes and goes', async () => {
  const jobStore = new JsonJobStore();
  const first = makeWorld({ jobStores: { default: jobStore }, node: 'web' });
  const attempts: number[] = [];
  first.scheduler.defineTask('work', () => first.clock.sleep({ hours: 1 }));
  await first.scheduler.addJob('work', every(10), { id: 'job' });
  await first.scheduler.start();
  await first.clock.advance({ seconds: 10 });
  for (const turn of [1, 2]) {
    const other = makeWorld({ jobStores: { default: jobStore }, node: 'web', clock: first.clock });
    other.scheduler.defineTask('work', () => void attempts.push(currentRun().attempt));
    await other.scheduler.start();
    await first.clock.advance({ seconds: 5 });
    expect(other.logger.messages('warn').filter((message) => message.includes('another process may be')), `turn ${turn}`).toHaveLength(1);
    await other.scheduler.shutdown();
  }
  expect(attempts).toEqual([]);
});

it('says nothing where the last process of its name was shut down', async () => {
  const jobStore = new JsonJobStore();
  const first = makeWorld({ jobStores: { default: jobStore }, node: 'web-1', tasks: { work: () => undefined } });
  await first.scheduler.addJob('work', every(10), { id: 'job' });
  await first.scheduler.start();
  await first.clock.advance({ seconds: 11 });
  await first.scheduler.shutdown();
  const second = makeWorld({ jobStores: { default: jobStore }, node: 'web-1', tasks: { work: () => undefined } });
  await second.scheduler.start();
  await second.clock.advance({ seconds: 1 });
  expect(second.logger.lines).toEqual([]);
});

it('leaves jobs of unknown tasks as they are, and says so once', async () => {
  const jobStore = new JsonJobStore();
  const before = makeWorld({ jobStores: { default: jobStore }, tasks: { old: () => undefined, kept: () => undefined } });
  await before.scheduler.addJob('old', every(10), { id: 'a' });
  await before.scheduler.addJob('kept', every(10), { id: 'b' });
  const after = makeWorld({ jobStores: { default: jobStore }, tasks: { kept: () => undefined }, node: 'node-b' });
  await after.scheduler.start();
  await after.clock.advance({ minutes: 5 });
  await after.scheduler.pause();
  await after.scheduler.resume();
  expect(after.recorder.of('tasksUnknown')).toEqual([{ type: 'tasksUnknown', at: START_MS, node: 'node-b', jobStore: 'default', tasks: ['old'] }]);
  expect(after.logger.lines.filter(({ message }) => message === 'punctual: tasksUnknown')).toMatchObject([{ level: 'warn', fields: { tasks: ['old'], advice: expect.stringContaining('defineTask') } }]);
  expect((await after.scheduler.getJob('a'))?.nextRunTime).toEqual(new Date(Date.parse(START) + 10_000));
  after.scheduler.defineTask('old', () => undefined);
  await after.clock.advance({ seconds: 1 });
  expect((await after.scheduler.getRuns({ jobId: 'a' })).map(({ verdict, count }) => [verdict, count])).toEqual([['coalesced', 29], ['succeeded', 1]]);
});
