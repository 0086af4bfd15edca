/** What happened, as the processes of a campaign wrote it down themselves: one line of JSON each, in a file that only grows. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/** A task's own account of one attempt. */
export interface RunLine {
  /** `step`: it goes on. `ok`, `threw`: how it ended. `abort`: its signal fired. */
  readonly what: 'start' | 'step' | 'ok' | 'threw' | 'abort';
  readonly at: number;
  readonly pid: number;
  readonly jobId: string;
  readonly runId: string;
  readonly scheduledFor: number;
  readonly attempt: number;
  readonly manual: boolean;
  /** Its signal has fired. */
  readonly aborted: boolean;
  /** Of an abort: the code of its reason. */
  readonly code?: string | undefined;
  /** Of a start: when it is by its node's idea of the store's clock. */
  readonly startedAt?: number | undefined;
  /** Of a start: the runs it was told that it follows. */
  readonly follows?: readonly FollowedRun[] | undefined;
}

export interface FollowedRun {
  readonly jobId: string;
  readonly runId: string | null;
  readonly verdict: string;
}

/** A call of the scheduler by the program around it. Without a `done` nobody knows whether it had an effect. */
export interface CallLine {
  readonly what: 'call' | 'done';
  readonly at: number;
  readonly pid: number;
  readonly call: 'run' | 'pause' | 'resume' | 'modify' | 'add' | 'schedule' | 'remove' | 'enqueue';
  readonly jobId: string;
  /** Unique within the process. */
  readonly id: number;
  /** Of a `done`: the code of the error it ended with. */
  readonly error?: string | undefined;
  /** Of a `run` or an `enqueue` that is done. */
  readonly runId?: string | undefined;
  /** Of an `enqueue`: what it depends on, runs by job and id; without an id, the run that goes on or comes next. */
  readonly dependsOn?: readonly { readonly jobId: string; readonly runId?: string | undefined }[] | undefined;
  /** Of a `modify`: what was written. */
  readonly mark?: string | undefined;
}

/** Signs of life, and what was done to a process. */
export interface ProcessLine {
  /**
   * `tick`: its event loop turns. `fault`: an error nobody expects.
   * `leave`: it was asked to shut down. `bye`: it has. `trouble`, `calm`: its way to the store is disturbed, and is not.
   */
  readonly what:
    | 'hello' | 'tick' | 'event' | 'value' | 'fault' | 'kill' | 'stop' | 'cont' | 'settle'
    | 'leave' | 'bye' | 'trouble' | 'calm';
  readonly at: number;
  /** Of trouble with the store itself: {@link EVERYBODY}. */
  readonly pid: number;
  readonly node?: string | undefined;
  /** Type of an event, text of a fault. */
  readonly text?: string | undefined;
  /** Of a `value`: the run that answered, and whether with what its task returns. */
  readonly runId?: string | undefined;
  readonly right?: boolean | undefined;
  /** Of an alarm that was told, the event `jobOverdue`. */
  readonly alarm?: { readonly jobId: string; readonly why: string; readonly deadline: number } | undefined;
}

/** In place of a process. */
export const EVERYBODY = 0;

export type Line = RunLine | CallLine | ProcessLine;

/** A line without what the writer fills in. */
export type Entry = Line extends infer L ? (L extends Line ? Omit<L, 'at' | 'pid'> & { readonly pid?: number } : never) : never;

/** Ms of the machine's monotonic clock, the same in all processes. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** Appends; each line is one write, so that lines of several processes do not mix, and a kill leaves whole ones. */
export class Log {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'a');
  }

  write(entry: Entry): void {
    writeSync(this.#fd, `${JSON.stringify({ at: monotonicMs(), pid: process.pid, ...entry })}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The lines in order of time. @throws Error for a line that is none. */
export function readLog(path: string): Line[] {
  const lines: Line[] = [];
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    if (text !== '') lines.push(parse(text));
  }
  return lines.sort((a, b) => a.at - b.at);
}

function parse(text: string): Line {
  try {
    return JSON.parse(text) as Line;
  } catch {
    throw new Error(`the log has a torn line: ${text.slice(0, 200)}`);
  }
}
