/**
 * How do I run something after something else?
 *
 * `dependsOn` is for work that is done once: it begins when other runs have succeeded. The trigger `after` is for jobs: one
 * fires each time another has ended. Both are kept in the job store, so any node may run any part, and none is lost if one dies.
 */
import assert from 'node:assert/strict';
import { after, AsyncScheduler, currentRun, isPunctualError } from 'punctual';

const scheduler = new AsyncScheduler({ logger: { debug() {}, info() {}, warn() {}, error() {} } });
const done: string[] = [];

const step = scheduler.defineTask('step', (name: string) => {
  const { follows } = currentRun();
  done.push(name);
  console.log(name.padEnd(10), follows.map(({ jobId, verdict }) => `after ${jobId} (${verdict})`).join(', '));
  if (name === 'deploy') throw new Error('the disk is full');
  return `${name} is done`;
});
await scheduler.start();

// 1. A diamond: build, then tests and docs side by side, then a release when both have succeeded.
const build = await scheduler.enqueue(step, { id: 'build', args: ['build'], delay: 50 });
await scheduler.enqueue(step, { id: 'tests', args: ['tests'], dependsOn: build });
await scheduler.enqueue(step, { id: 'docs', args: ['docs'], dependsOn: build });
const release = await scheduler.enqueue(step, { id: 'release', args: ['release'], dependsOn: ['tests', 'docs'] });
assert.equal(await release.result(), 'release is done');

// 2. When a step fails for good, what depends on it is called off, unless it says otherwise.
const deploy = await scheduler.enqueue(step, { id: 'deploy', args: ['deploy'], dependsOn: release, retry: { maxAttempts: 2, delay: 20 } });
const announce = await scheduler.enqueue(step, { id: 'announce', args: ['announce'], dependsOn: deploy });
const clean = await scheduler.enqueue(step, { id: 'clean-up', args: ['clean-up'], dependsOn: deploy, onDependencyFailure: 'run' });
await assert.rejects(deploy.result(), /the disk is full/);
await assert.rejects(announce.result(), (error) => isPunctualError(error, 'RUN_NOT_SUCCEEDED'));
await clean.result();
const [verdict] = await scheduler.getRuns({ jobId: 'announce' });
console.log(`announce is ${verdict?.verdict}: ${verdict?.error?.message}`);

// 3. A recurring job, and others that follow each of its runs. `addJobs` takes them in any order.
const told = new Promise<void>((resolve) => {
  scheduler.on('jobExecuted', ({ jobId }) => {
    if (jobId === 'mail') resolve();
  });
});
await scheduler.addJobs([
  { id: 'mail', task: 'step', args: ['mail'], trigger: after('report') },
  { id: 'report', task: 'step', args: ['report'], trigger: after(['sales', 'stock']) },
  { id: 'alert', task: 'step', args: ['alert'], trigger: after(['sales', 'stock', 'report'], 'failure', { mode: 'any' }) },
  { id: 'sales', task: 'step', args: ['sales'], trigger: '* * * * * *', maxRuns: 1 },
  { id: 'stock', task: 'step', args: ['stock'], trigger: '* * * * * *', maxRuns: 1 },
]);
await told;

// 4. A circle is refused before anything is changed.
await assert.rejects(scheduler.rescheduleJob('report', after('mail')), (error) => isPunctualError(error, 'DEPENDENCY_CYCLE'));

assert.deepEqual(done.slice(0, 1), ['build']);
assert.deepEqual(done.slice(1, 3).sort(), ['docs', 'tests']);
assert.deepEqual(done.slice(3), ['release', 'deploy', 'deploy', 'clean-up', ...done.slice(7, 9), 'report', 'mail']);
assert.ok(!done.includes('announce') && !done.includes('alert'));
await scheduler.shutdown();
