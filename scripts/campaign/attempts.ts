/** The log of a round, put together to what can be asked of it: attempts, deaths, and when a process stood still. */
import { EVERYBODY, type CallLine, type FollowedRun, type Line, type ProcessLine, type RunLine } from './log.js';

/** One attempt of a run, as its task saw it. */
export interface Attempt {
  readonly jobId: string;
  readonly runId: string;
  readonly scheduledFor: number;
  readonly attempt: number;
  readonly manual: boolean;
  readonly pid: number;
  readonly startedAt: number;
  /** When it started by its node's idea of the store's clock. */
  readonly nodeTime: number;
  /** What it was told that it follows. */
  readonly follows: readonly FollowedRun[];
  /** The last line of the task: `null` when its process died first. */
  end: RunLine | null;
  /** When it could do nothing any more: its end, or the death of its process. */
  endedAt: number;
  /** When its signal fired, and why. */
  abort: RunLine | null;
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** When a process stood still. */
export interface Stall extends Span {
  /** How long, from its beginning, the leases of the process are good for at the least. */
  readonly holdMs: number;
}

/** A call with its outcome; `done` is `null` when nobody lived to hear it. */
export interface Call {
  readonly line: CallLine;
  done: CallLine | null;
}

export type Alarm = Pick<ProcessLine, 'at' | 'pid'> & NonNullable<ProcessLine['alarm']>;

export interface History {
  readonly attempts: readonly Attempt[];
  readonly calls: readonly Call[];
  /** Alarms that were told. */
  readonly alarms: readonly Alarm[];
  /** The process that brought all to rest. */
  readonly settler: number | undefined;
  /** By process: when it stood still, by choice of the campaign or for want of a processor. */
  readonly stalls: ReadonlyMap<number, readonly Stall[]>;
  /** By process, or for everybody: when its way to the store was disturbed. */
  readonly troubles: ReadonlyMap<number, readonly Span[]>;
  /** By process: when it showed no sign of life, for so little even that it matters only to who takes its time. */
  readonly gaps: ReadonlyMap<number, readonly Span[]>;
  /** By process: when it waited long for an answer. Of those whose ways were undisturbed for everybody, too. */
  readonly waits: ReadonlyMap<number, readonly Span[]>;
  /** When a process was asked to shut down. */
  readonly leaves: ReadonlyMap<number, number>;
  /** First and last sign of life. */
  readonly lives: ReadonlyMap<number, Span>;
  readonly leaseMs: number;
  readonly deaths: ReadonlyMap<number, number>;
  readonly nodes: ReadonlyMap<number, string>;
  /** What fits nowhere. */
  readonly oddities: readonly string[];
}

/** Fraction of a lease for which one is good at the least when its holder falls still: what is left right before a renewal. */
const HOLD = 0.45;
/** Fraction of a lease by which its holder stops trusting it early. While it cannot renew, it has no more than that left. */
const MARGIN = 0.1;
/** Fraction of a lease in which a process that goes on after it stood still has to tell a run that its lease is lost. */
export const HEED = 0.35;
/** Fraction of a lease after which an answer of the store is late: a renewal then, too. */
const LATE = 0.2;
/** Leases for which a process may go without a renewal after its way to the store was mended. */
export const RECOVERY = 2;

export function readHistory(lines: readonly Line[], leaseMs = 1_000): History {
  const attempts: Attempt[] = [];
  const live = new Map<string, Attempt>();
  const calls = new Map<string, Call>();
  const gaps = new Map<number, Span[]>();
  const troubles = new Map<number, Span[]>();
  const troubled = new Map<number, number>();
  const lives = new Map<number, Span>();
  const leaves = new Map<number, number>();
  const deaths = new Map<number, number>();
  const nodes = new Map<number, string>();
  const oddities: string[] = [];
  const alarms: Alarm[] = [];
  let settler: number | undefined;

  const alive = (pid: number, at: number): void => {
    const life = lives.get(pid);
    if (life !== undefined && at - life.to >= leaseMs * MARGIN) push(gaps, pid, { from: life.to, to: at });
    lives.set(pid, { from: life?.from ?? at, to: at });
  };

  for (const line of lines) {
    switch (line.what) {
      case 'start': {
        const { jobId, runId, scheduledFor, attempt, manual, pid, at, startedAt: nodeTime = Number.NaN, follows = [] } = line;
        const begun: Attempt = { jobId, runId, scheduledFor, attempt, manual, pid, startedAt: at, nodeTime, follows, end: null, endedAt: Number.POSITIVE_INFINITY, abort: null };
        attempts.push(begun);
        live.set(keyOf(line), begun);
        break;
      }
      case 'step':
      case 'ok':
      case 'threw':
      case 'abort': {
        const own = live.get(keyOf(line));
        if (own === undefined) oddities.push(`a line "${line.what}" of ${line.runId}, attempt ${line.attempt}, without its start`);
        else if (line.what === 'abort') own.abort ??= line;
        else if (line.what !== 'step') {
          own.end = line;
          own.endedAt = line.at;
        }
        break;
      }
      case 'call':
        calls.set(`${line.pid}/${line.id}`, { line, done: null });
        break;
      case 'done': {
        const call = calls.get(`${line.pid}/${line.id}`);
        if (call === undefined) oddities.push(`an answer of ${line.call} without its call`);
        else call.done = line;
        break;
      }
      case 'hello':
        nodes.set(line.pid, line.node ?? '?');
        alive(line.pid, line.at);
        break;
      case 'tick':
        alive(line.pid, line.at);
        break;
      case 'kill':
        if (lives.has(line.pid)) alive(line.pid, line.at);
        // A process that ends itself may be killed once more.
        if (!deaths.has(line.pid)) deaths.set(line.pid, line.at);
        break;
      case 'leave':
        leaves.set(line.pid, line.at);
        break;
      case 'bye':
        if (lives.has(line.pid)) alive(line.pid, line.at);
        deaths.set(line.pid, line.at);
        break;
      case 'trouble':
        if (!troubled.has(line.pid)) troubled.set(line.pid, line.at);
        break;
      case 'calm':
        push(troubles, line.pid, { from: troubled.get(line.pid) ?? 0, to: line.at + RECOVERY * leaseMs });
        troubled.delete(line.pid);
        break;
      case 'value':
        if (line.right !== true) oddities.push(`run ${line.runId ?? '?'} answered with what its task does not return`);
        break;
      case 'fault':
        oddities.push(`process ${line.pid}: ${line.text ?? '?'}`);
        break;
      case 'event':
        if (line.alarm !== undefined) alarms.push({ at: line.at, pid: line.pid, ...line.alarm });
        break;
      case 'settle':
        settler = line.pid;
        break;
      case 'stop':
      case 'cont':
        break;
      default:
        oddities.push(`a line of no kind: ${JSON.stringify(line satisfies never)}`);
    }
  }
  for (const [pid, from] of troubled) push(troubles, pid, { from, to: Number.POSITIVE_INFINITY });
  for (const attempt of attempts) {
    if (attempt.end === null) attempt.endedAt = deaths.get(attempt.pid) ?? Number.POSITIVE_INFINITY;
  }
  const waits = new Map<number, Span[]>();
  for (const { line, done } of calls.values()) {
    if (done === null) continue;
    const wait = { from: line.at, to: done.at };
    // What its process stood still itself is not the store's.
    if (wait.to - wait.from - overlapMs(wait, gaps.get(line.pid)) < leaseMs * LATE) continue;
    push(waits, line.pid, wait);
    if (!isWithin(wait, troubles.get(line.pid)) && !isWithin(wait, troubles.get(EVERYBODY))) push(waits, EVERYBODY, wait);
  }
  const stalls = new Map<number, Stall[]>();
  for (const [pid, own] of gaps) {
    let heedUntil = Number.NEGATIVE_INFINITY;
    for (const gap of own) {
      const isTroubled = isWithin(gap, troubles.get(pid)) || isWithin(gap, troubles.get(EVERYBODY)) || isWithin(gap, waits.get(pid));
      // It could not renew, or stands still again before it had the time to tell its runs.
      const isShort = isTroubled || gap.from < heedUntil;
      if (!isShort && gap.to - gap.from < leaseMs * HOLD) continue;
      push(stalls, pid, { ...gap, holdMs: isShort ? 0 : leaseMs * HOLD });
      heedUntil = gap.to + leaseMs * HEED;
    }
  }
  return { attempts, calls: [...calls.values()], alarms, settler, stalls, troubles, gaps, waits, leaves, lives, leaseMs, deaths, nodes, oddities };
}

/** Whether the span has a moment in common with one of the others. */
export function isWithin({ from, to }: Span, others: readonly Span[] = []): boolean {
  return others.some((other) => other.from < to && other.to > from);
}

/** How much of the span the others take up. They do not overlap each other. */
export function overlapMs({ from, to }: Span, others: readonly Span[] = []): number {
  return others.reduce((sum, other) => sum + Math.max(0, Math.min(to, other.to) - Math.max(from, other.from)), 0);
}

function push<T>(groups: Map<number, T[]>, key: number, value: T): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [value]);
  else group.push(value);
}

function keyOf({ runId, attempt, pid }: RunLine): string {
  return `${runId}/${attempt}/${pid}`;
}
