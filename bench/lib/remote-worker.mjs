/**
 * One of several nodes on one shared store: `remote-worker.mjs <engine> <url> <ms of work>`. Tells how many runs it has
 * recorded, and when the last was; when asked to stop, which fire times it began as a first attempt, and its claims.
 */
import { engines } from './engines.mjs';
import { loadPunctual } from './load.mjs';
import { schedulerOn } from './remote-jobs.mjs';

const [engine = '', url = '', workMs = '0'] = process.argv.slice(2);
const { currentRun } = await loadPunctual();
/** @type {string[]} */
const began = [];
let runs = 0;
let last = 0;

async function work() {
  const run = currentRun();
  if (run.attempt === 1) began.push(`${run.jobId} ${run.scheduledFor.getTime()}`);
  const end = performance.now() + Number(workMs);
  while (performance.now() < end);
}

const makeStore = await engines[/** @type {import('./engines.mjs').EngineName} */ (engine)].stores(url);
const scheduler = await schedulerOn(makeStore(), { tasks: { noop: work } });
scheduler.on('jobExecuted', () => {
  runs += 1;
  last = Date.now();
});
await scheduler.start();

async function end() {
  clearInterval(telling);
  const { claims } = scheduler.health().jobStores['default'] ?? {};
  await scheduler.shutdown();
  process.send?.({ runs, last, began, claims }, () => process.exit());
}
process.on('message', () => void end());
process.on('disconnect', () => process.exit());
process.send?.({ runs, last });
const telling = setInterval(() => process.send?.({ runs, last }), 20);
