import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Clock, TimerHandle } from '../../ports/clock.js';

/** How long it stays when no log is left that it might copy. */
const STAYS_MS = 10_000;
/** It holds a few connections and no data. */
const RESOURCES = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };

/** As text, so that it is there however the program was bundled. The driver is the copy that this process has: two would take each other's locks away. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const Database = require(workerData);
const open = new Map();
parentPort.on('message', ({ question, log, file, synchronous }) => {
  let answer;
  try {
    let database = open.get(log);
    if (file === undefined) {
      open.delete(log);
      if (database !== undefined) database.close();
    } else {
      if (database === undefined) {
        database = new Database(file, { fileMustExist: true, timeout: 0 });
        open.set(log, database);
        database.pragma('wal_autocheckpoint = 0');
        database.pragma('synchronous = ' + synchronous);
      }
      answer = database.pragma('wal_checkpoint(PASSIVE)')[0];
    }
  } catch (error) {
    answer = String(error);
  }
  parentPort.postMessage([question, answer]);
});
`;

/** What a copy comes to. */
export interface LogCopy {
  /** Pages in the log, and how many of them were copied by then. */
  readonly log: number;
  readonly checkpointed: number;
}

/** A log that the thread may copy. */
export interface ThreadLog {
  /** Answers `undefined` where it could not be copied. */
  copy(): Promise<LogCopy | undefined>;
  /** The thread lets go of the file. */
  close(): Promise<void>;
}

interface Running {
  readonly worker: Worker;
  readonly driver: unknown;
  /** By question. */
  readonly waiting: Map<number, (answer: unknown) => void>;
  /** Logs it has or will have open, and those it is about to let go of. */
  logs: number;
  closing: number;
  isGone: boolean;
  leaving: TimerHandle | undefined;
}

let running: Running | undefined;
/** Why there cannot be one: it has failed. */
let failure: Error | undefined;
/** Numbers of logs and questions. */
let numbers = 0;

/**
 * The log of an open database, for the one thread of this process that copies logs.
 *
 * @param driver - the class of better-sqlite3 the database is one of.
 * @throws Error where no thread can do it here.
 */
export function threadLog(clock: Clock, driver: unknown, file: string, synchronous: number): ThreadLog {
  const thread = running !== undefined && running.driver === driver ? running : start(driver);
  const log = (numbers += 1);
  let isOpen = true;
  thread.logs += 1;
  thread.leaving?.cancel();
  return {
    copy: async () => {
      const answer = await ask(thread, { log, file, synchronous });
      return typeof answer === 'object' && answer !== null ? (answer as LogCopy) : undefined;
    },
    close: async () => {
      if (!isOpen) return;
      isOpen = false;
      thread.closing += 1;
      // Whoever closes a database waits for this, and nothing else may keep the process running.
      thread.worker.ref();
      await ask(thread, { log });
      thread.closing -= 1;
      if (thread.closing === 0) thread.worker.unref();
      thread.logs -= 1;
      if (thread.logs === 0) thread.leaving = clock.setTimer(STAYS_MS, () => { leave(thread); }, false);
    },
  };
}

function start(driver: unknown): Running {
  if (failure !== undefined) throw failure;
  // One of the two is there: this file is built both as CommonJS and as an ES module.
  const require = createRequire(typeof __filename === 'string' ? __filename : fileURLToPath(import.meta.url));
  const path = require.resolve('better-sqlite3');
  if (require(path) !== driver) throw new Error(`${path} is another copy of better-sqlite3`);
  // Nothing of what the program was started with: a module that it loads first is none of this thread's.
  const env = { ...process.env, NODE_OPTIONS: '' };
  const worker = new Worker(PROGRAM, { eval: true, name: 'punctual-log', workerData: path, execArgv: [], env, resourceLimits: RESOURCES });
  const thread: Running = { worker, driver, waiting: new Map(), logs: 0, closing: 0, isGone: false, leaving: undefined };
  worker.unref();
  worker.on('message', ([question, answer]: [number, unknown]) => {
    thread.waiting.get(question)?.(answer);
    thread.waiting.delete(question);
  });
  worker.on('error', (error) => { failure = error instanceof Error ? error : new Error(String(error)); });
  worker.on('exit', () => {
    thread.isGone = true;
    if (running === thread) running = undefined;
    for (const answer of thread.waiting.values()) answer(undefined);
    thread.waiting.clear();
  });
  running = thread;
  return thread;
}

/** It takes a moment to end: who comes meanwhile begins another. */
function leave(thread: Running): void {
  if (running === thread) running = undefined;
  void thread.worker.terminate();
}

function ask({ worker, waiting, isGone }: Running, about: { log: number; file?: string; synchronous?: number }): Promise<unknown> {
  if (isGone) return Promise.resolve(undefined);
  const question = (numbers += 1);
  return new Promise((answer) => {
    waiting.set(question, answer);
    worker.postMessage({ ...about, question });
  });
}
