import { onTestFinished } from 'vitest';
import { AsyncScheduler, type Logger, type SchedulerEvent, type SchedulerEventType, type EventOf, type SchedulerOptions, type AnyTasks, type TaskMap } from 'punctual';
import { VirtualClock } from 'punctual/testing';

export const START = '2026-01-01T00:00:00.000Z';
export const START_MS = Date.parse(START);
export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

/** Every event of a scheduler in the order in which it came. */
export class Recorder {
  readonly events: SchedulerEvent[] = [];

  readonly listener = (event: SchedulerEvent): void => {
    this.events.push(event);
  };

  of<T extends SchedulerEventType>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type);
  }

  types(): SchedulerEventType[] {
    return this.events.map((event) => event.type);
  }

  clear(): void {
    this.events.length = 0;
  }
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

export class MemoryLogger implements Logger {
  readonly lines: LogLine[] = [];
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.lines.push({ level: 'debug', message, fields });
  }
  info(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.lines.push({ level: 'info', message, fields });
  }
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.lines.push({ level: 'warn', message, fields });
  }
  error(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.lines.push({ level: 'error', message, fields });
  }
  messages(level: LogLine['level']): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.message);
  }
}

export interface World<T extends TaskMap = AnyTasks> {
  readonly clock: VirtualClock;
  readonly scheduler: AsyncScheduler<T>;
  readonly recorder: Recorder;
  readonly logger: MemoryLogger;
  /** Seconds since the start of the virtual time, now. */
  seconds(): number;
}

/**
 * A scheduler in virtual time, whose events and log lines are kept. After the test it is shut down, and everything it
 * planned must be gone with it.
 */
export function makeWorld<T extends TaskMap = AnyTasks>(
  options: SchedulerOptions<T> & { readonly clock?: VirtualClock } = {},
): World<T> {
  const clock = options.clock ?? new VirtualClock(START);
  const logger = new MemoryLogger();
  const scheduler = new AsyncScheduler<T>({ timezone: 'UTC', logger, node: 'node-a', ...options, clock });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => end(scheduler, clock));
  return { clock, scheduler, recorder, logger, seconds: () => (clock.now() - START_MS) / SECOND };
}

/** Shuts a scheduler in virtual time down, tasks that would never end included. */
export async function end(scheduler: Pick<AsyncScheduler, 'shutdown'>, clock: VirtualClock): Promise<void> {
  let done = false;
  const stopping = scheduler.shutdown({ wait: false }).finally(() => {
    done = true;
  });
  for (let turn = 0; turn < 200 && !done; turn++) await clock.advance(SECOND);
  await stopping;
}

/** Something to resolve, reject, and wait for. */
export interface Gate<T = void> {
  readonly promise: Promise<T>;
  open(value: T): void;
  fail(error: unknown): void;
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

/** The error of a call that has to fail. */
export async function failure(work: Promise<unknown> | (() => unknown)): Promise<Error> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error(`threw ${String(error)}, which is no Error`, { cause: error });
  }
  throw new Error('was expected to fail, and did not');
}

/** Runs `work` and lets time pass until it has settled: for calls that wait for the clock themselves. */
export async function whileTimePasses<T>(clock: VirtualClock, work: Promise<T>, step: number = SECOND, limit = 500): Promise<T> {
  let done = false;
  const settled = work.finally(() => {
    done = true;
  });
  settled.catch(() => undefined);
  await clock.settle();
  for (let turn = 0; turn < limit && !done; turn++) await clock.advance(step);
  if (!done) throw new Error(`not settled after ${limit} steps of ${step} ms`);
  return settled;
}

export function iso(dates: readonly Date[]): string[] {
  return dates.map((date) => date.toISOString().slice(0, 19));
}
