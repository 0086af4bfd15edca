import { Worker as Thread, type WorkerOptions } from 'node:worker_threads';
import { entryFile } from './entry-file.js';
import { isTagged, type FromWorker } from './messages.js';
import type { WorkerOptions as Options } from './options.js';
import type { Worker, WorkerEvents, WorkerExit, WorkerKind } from './worker.js';

/** Workers that are threads of this process. */
export function threads({ env, execArgv, memoryLimitMb }: Pick<Options, 'env' | 'execArgv' | 'memoryLimitMb'>): WorkerKind {
  const options: WorkerOptions = { name: 'punctual' };
  if (env !== undefined) options.env = env;
  if (execArgv !== undefined) options.execArgv = [...execArgv];
  // What threads inherit says how to read a program from the command line, and they get theirs from a file.
  else if (process.execArgv.some((flag) => flag.startsWith('--input-type'))) options.execArgv = [];
  if (memoryLimitMb !== undefined) options.resourceLimits = { maxOldGenerationSizeMb: memoryLimitMb };
  return { name: 'thread', start: (events) => startThread(options, events), clone: (value) => void structuredClone(value) };
}

function startThread(options: WorkerOptions, events: WorkerEvents): Worker {
  // A count in memory that both see: a message would cost as much as the run's end.
  const counter = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const thread = new Thread(entryFile(), { ...options, workerData: counter });
  let failure: unknown;
  thread.on('message', (message: unknown) => {
    if (isTagged(message)) events.message(message as FromWorker);
  });
  thread.on('messageerror', (error) => {
    failure ??= error;
    void thread.terminate();
  });
  thread.on('error', (error) => {
    failure ??= error;
  });
  thread.on('exit', (exitCode) => {
    events.exited({ reason: reasonOf(failure), exitCode, signal: null, cause: failure });
  });
  return {
    post: (message) => { thread.postMessage(message); },
    keepAlive: (on) => {
      if (on) thread.ref();
      else thread.unref();
    },
    dismiss: () => void thread.terminate(),
    terminate: () => void thread.terminate(),
    get begun() {
      return Atomics.load(counter, 0);
    },
  };
}

function reasonOf(failure: unknown): WorkerExit['reason'] {
  if (failure === undefined) return 'exit';
  const { code } = failure as { readonly code?: unknown };
  return code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'outOfMemory' : 'uncaughtException';
}
