/**
 * What runs in a worker, thread or child process alike: it loads tasks, executes one run at a time, and tells what became
 * of it. Started by path, never imported.
 */
import { parentPort } from 'node:worker_threads';
import { NotCloneableError } from '../../errors/executor-errors.js';
import type { TaskFunction, TaskModule } from '../../model/job.js';
import { loadTask } from '../shared/load-task.js';
import { fromPlain, toPlain } from '../shared/plain-value.js';
import { runStorage } from '../shared/run-storage.js';
import { WorkerRun } from '../shared/worker-run.js';
import { isTagged, type FromWorker, type ToWorker } from './messages.js';

type Untagged<M> = M extends unknown ? Omit<M, 'punctual'> : never;

const tasks = new Map<string, TaskFunction>();
let current: WorkerRun | undefined;

/** @throws where something cannot be cloned. */
function post(message: Untagged<FromWorker>): void {
  const tagged = { punctual: 1, ...message } as FromWorker;
  if (parentPort !== null) parentPort.postMessage(tagged);
  else if (process.connected) process.send?.(tagged);
}

async function taskOf(module: TaskModule): Promise<TaskFunction> {
  const fn = await loadTask(module);
  tasks.set(`${module.export} ${module.url}`, fn);
  return fn;
}

async function execute({ module, args, facts }: Extract<ToWorker, { type: 'run' }>): Promise<void> {
  const run = new WorkerRun(facts, (level, message, fields) => {
    try {
      post({ type: 'log', level, message, fields: fields === undefined ? undefined : toPlain(fields) });
    } catch {
      // a logger that fails must not fail the work it reports on
    }
  });
  current = run;
  let value: unknown;
  try {
    const fn = tasks.get(`${module.export} ${module.url}`) ?? (await taskOf(module));
    value = await runStorage.run(run, fn, ...args);
  } catch (error) {
    current = undefined;
    post({ type: 'failed', error: toPlain(error) });
    return;
  }
  current = undefined;
  try {
    post({ type: 'done', value });
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    post({ type: 'failed', error: toPlain(new NotCloneableError('result', detail)) });
  }
}

function receive(message: unknown): void {
  if (!isTagged(message)) return;
  const told = message as ToWorker;
  if (told.type === 'run') {
    post({ type: 'begun' });
    void execute(told);
    return;
  }
  const run = current;
  if (run?.runId !== told.runId || run.attempt !== told.attempt) return;
  // Listeners find themselves in the task's run.
  runStorage.run(run, () => { run.abort(fromPlain(told.reason)); });
}

// The parent learns what was thrown; then the worker ends as it would anyway.
process.on('uncaughtExceptionMonitor', (error) => {
  post({ type: 'crash', error: toPlain(error) });
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
