/**
 * What runs in a worker, thread or child process alike: it loads tasks, executes one run at a time, and tells what became
 * of it. Started by path, never imported.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { NotCloneableError } from '../../errors/executor-errors.js';
import type { TaskFunction } from '../../model/job.js';
import { loadTask } from '../shared/load-task.js';
import { fromPlain, toPlain } from '../shared/plain-value.js';
import { runStorage } from '../shared/run-storage.js';
import { WorkerRun, type WriteLog } from '../shared/worker-run.js';
import { isThenable } from '../../time/thenable.js';
import { factsOfMessage, isTagged, TAG, type Begun, type FromWorker, type RunMessage, type ToWorker } from './messages.js';

const tasks = new Map<string, TaskFunction>();
let current: WorkerRun | undefined;
/** Of a thread: where it counts the runs it has begun. */
const counter = workerData as Int32Array | null;

/** @throws where something cannot be cloned. */
function post(message: FromWorker | Begun): void {
  if (parentPort !== null) parentPort.postMessage(message);
  else if (process.connected) process.send?.(message);
}

function writeLog(...[level, message, fields]: Parameters<WriteLog>): void {
  try {
    post([TAG, 'log', level, message, fields === undefined ? undefined : toPlain(fields)]);
  } catch {
    // a logger that fails must not fail the work it reports on
  }
}

async function taskOf(url: string, exported: string, name: string): Promise<TaskFunction> {
  const fn = await loadTask({ url, export: exported }, name);
  tasks.set(`${exported} ${url}`, fn);
  return fn;
}

/** Without a promise where the task needs none. */
function execute(message: RunMessage): void {
  const [, , url, exported, args] = message;
  const facts = factsOfMessage(message);
  const run = new WorkerRun(facts, writeLog);
  current = run;
  const fn = tasks.get(`${exported} ${url}`);
  if (fn === undefined) {
    void finish(taskOf(url, exported, facts.task).then((loaded): unknown => runStorage.run(run, loaded, ...args)));
    return;
  }
  let answer: unknown;
  try {
    answer = runStorage.run(run, fn, ...args);
    if (isThenable(answer)) {
      void finish(answer);
      return;
    }
  } catch (error) {
    failed(error);
    return;
  }
  done(answer);
}

async function finish(answer: PromiseLike<unknown>): Promise<void> {
  let value: unknown;
  try {
    value = await answer;
  } catch (error) {
    failed(error);
    return;
  }
  done(value);
}

function failed(error: unknown): void {
  current = undefined;
  post([TAG, 'failed', toPlain(error)]);
}

function done(value: unknown): void {
  current = undefined;
  try {
    post([TAG, 'done', value]);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    post([TAG, 'failed', toPlain(new NotCloneableError('result', detail))]);
  }
}

function receive(message: unknown): void {
  if (!isTagged(message)) return;
  const told = message as ToWorker;
  if (told[1] === 'run') {
    if (counter === null) post([TAG, 'begun']);
    else Atomics.add(counter, 0, 1);
    execute(told);
    return;
  }
  const [, , runId, attempt, reason] = told;
  const run = current;
  if (run?.runId !== runId || run.attempt !== attempt) return;
  // Listeners find themselves in the task's run.
  runStorage.run(run, () => { run.abort(fromPlain(reason)); });
}

// The parent learns what was thrown; then the worker ends as it would anyway.
process.on('uncaughtExceptionMonitor', (error) => {
  post([TAG, 'crash', toPlain(error)]);
});

if (parentPort !== null) {
  parentPort.on('message', receive);
  parentPort.on('messageerror', (error) => {
    throw error;
  });
} else {
  process.on('message', receive);
  // A signal to the whole group (Ctrl+C, a service manager) is for the parent to obey: it lets tasks come to their end.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('disconnect', () => process.exit());
}
