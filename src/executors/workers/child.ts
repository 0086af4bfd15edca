import { fork, type ForkOptions } from 'node:child_process';
import { serialize } from 'node:v8';
import { entryFile } from './entry-file.js';
import { processFlags } from './flags.js';
import { isTagged, type Begun, type FromWorker } from './messages.js';
import type { WorkerOptions } from './options.js';
import type { Worker, WorkerEvents, WorkerExit, WorkerKind } from './worker.js';

/** Workers that are processes of their own. */
export function children({ env, execArgv, memoryLimitMb }: Pick<WorkerOptions, 'env' | 'execArgv' | 'memoryLimitMb'>): WorkerKind {
  const flags = [...(execArgv ?? processFlags(process.execArgv))];
  if (memoryLimitMb !== undefined) flags.push(`--max-old-space-size=${memoryLimitMb}`);
  // The channel clones as `postMessage` does, instead of writing JSON.
  const options: ForkOptions = { serialization: 'advanced', execArgv: flags, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] };
  if (env !== undefined) options.env = env;
  return {
    name: 'child process',
    start: (events) => startChild(options, memoryLimitMb !== undefined, events),
    clone: (value) => void serialize(value),
  };
}

function startChild(options: ForkOptions, limited: boolean, events: WorkerEvents): Worker {
  const child = fork(entryFile(), [], options);
  let exit: WorkerExit | undefined;
  let ended = false;
  let begun = 0;
  const end = (how: WorkerExit): void => {
    if (ended) return;
    ended = true;
    events.exited(how);
  };
  child.on('message', (message: unknown) => {
    if (!isTagged(message)) return;
    const told = message as FromWorker | Begun;
    if (told[1] === 'begun') begun += 1;
    else events.message(told);
  });
  // Its last messages may come after the news of its end, but not after that of the channel's.
  child.on('exit', (exitCode, signal) => {
    exit = { reason: reasonOf(exitCode, signal, limited), exitCode, signal };
    if (!child.connected) end(exit);
  });
  child.on('disconnect', () => {
    if (exit !== undefined) end(exit);
  });
  child.on('error', (cause) => {
    if (child.pid === undefined) end({ reason: 'notStarted', exitCode: null, signal: null, cause });
  });
  return {
    // What a broken channel has to say comes with its end.
    post: (message) => void child.send(message, () => undefined),
    keepAlive: (on) => {
      if (on) {
        child.ref();
        child.channel?.ref();
      } else {
        child.unref();
        child.channel?.unref();
      }
    },
    dismiss: () => {
      if (child.connected) child.disconnect();
    },
    terminate: () => void child.kill('SIGKILL'),
    get begun() {
      return begun;
    },
  };
}

/** V8 aborts when its heap is full. */
function reasonOf(exitCode: number | null, signal: string | null, limited: boolean): WorkerExit['reason'] {
  const aborted = signal === 'SIGABRT' || exitCode === 134;
  if (aborted && limited) return 'outOfMemory';
  return signal === null ? 'exit' : 'signal';
}
