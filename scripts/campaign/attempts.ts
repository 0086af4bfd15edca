/** The log of a round, put together to what can be asked of it: attempts, deaths, and when a process stood still. */
import type { CallLine, Line, RunLine } from './log.js';

/** One attempt of a run, as its task saw it. */
export interface Attempt {
  readonly jobId: string;
  readonly runId: string;
  readonly scheduledFor: number;
  readonly attempt: number;
  readonly manual: boolean;
  readonly pid: number;
  readonly startedAt: number;
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

/** A call with its outcome; `done` is `null` when nobody lived to hear it. */
export interface Call {
  readonly line: CallLine;
  done: CallLine | null;
}

export interface History {
  readonly attempts: readonly Attempt[];
  readonly calls: readonly Call[];
  /** By process: when it stood still, by choice of the campaign or for want of a processor. */
  readonly stalls: ReadonlyMap<number, readonly Span[]>;
  readonly deaths: ReadonlyMap<number, number>;
  readonly nodes: ReadonlyMap<number, string>;
  /** Jobs that were added after they should have begun. */
  readonly late: ReadonlySet<string>;
  /** What fits nowhere. */
  readonly oddities: readonly string[];
}

/** A process ticks ten times a second; where it did not for so long, its leases may have run out unnoticed. */
export const STALL_MS = 450;

export function readHistory(lines: readonly Line[]): History {
  const attempts: Attempt[] = [];
  const live = new Map<string, Attempt>();
  const calls = new Map<string, Call>();
  const stalls = new Map<number, Span[]>();
  const lastTick = new Map<number, number>();
  const deaths = new Map<number, number>();
  const nodes = new Map<number, string>();
  const late = new Set<string>();
  const oddities: string[] = [];

  const alive = (pid: number, at: number): void => {
    const before = lastTick.get(pid);
    if (before !== undefined && at - before >= STALL_MS) {
      const own = stalls.get(pid);
      if (own === undefined) stalls.set(pid, [{ from: before, to: at }]);
      else own.push({ from: before, to: at });
    }
    lastTick.set(pid, at);
  };

  for (const line of lines) {
    switch (line.what) {
      case 'start': {
        const { jobId, runId, scheduledFor, attempt, manual, pid, at } = line;
        const begun: Attempt = { jobId, runId, scheduledFor, attempt, manual, pid, startedAt: at, end: null, endedAt: Number.POSITIVE_INFINITY, abort: null };
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
        if (lastTick.has(line.pid)) alive(line.pid, line.at);
        // A process that ends itself may be killed once more.
        if (!deaths.has(line.pid)) deaths.set(line.pid, line.at);
        break;
      case 'late':
        late.add(line.text ?? '?');
        break;
      case 'value':
        if (line.right !== true) oddities.push(`run ${line.runId ?? '?'} answered with what its task does not return`);
        break;
      case 'fault':
        oddities.push(`process ${line.pid}: ${line.text ?? '?'}`);
        break;
      case 'ready':
      case 'event':
      case 'stop':
      case 'cont':
      case 'settle':
        break;
      default:
        oddities.push(`a line of no kind: ${JSON.stringify(line satisfies never)}`);
    }
  }
  for (const attempt of attempts) {
    if (attempt.end === null) attempt.endedAt = deaths.get(attempt.pid) ?? Number.POSITIVE_INFINITY;
  }
  return { attempts, calls: [...calls.values()], stalls, deaths, nodes, late, oddities };
}

function keyOf({ runId, attempt, pid }: RunLine): string {
  return `${runId}/${attempt}/${pid}`;
}
