import type { JobRecord, JobStatus } from '../../model/job.js';
import { alarmAt } from '../../model/alarm.js';
import { runningCount, wakeAt } from '../../model/job.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Service } from '../shared/wake-index.js';

/** What an index keeps of a definition. Jobs of which it is the same share one. */
export interface About extends Service {
  /** As it is written. */
  readonly text: string;
  readonly kind: string;
  readonly owner: string | null;
  readonly name: string | null;
  readonly tags: readonly string[];
}

/** What an index keeps of a record. The rest is fetched when it is wanted. */
export interface Outline {
  readonly definition: About;
  readonly wakeAt: EpochMs | null;
  readonly status: JobStatus;
  readonly isRunning: boolean;
  /** Ledger entries travel in the record that may not be in the ledger yet. */
  readonly isBoxed: boolean;
  /** The greatest fire time of all ledger entries of the job; `null` while there are none. */
  readonly high: EpochMs | null;
  readonly alarmAt: EpochMs | null;
}

export const JOB = 'Punctual-Job';
export const STATE = 'Punctual-State';
export const EXPECTED = 'Nats-Expected-Last-Subject-Sequence';
export const OPERATION = 'KV-Operation';

/** The definition's part of the headers. */
export function aboutText({ definition }: JobRecord): string {
  const { task, taskVersion, trigger, owner, name, tags, policy } = definition;
  return JSON.stringify([task, taskVersion, policy.executor, policy.priority, trigger.kind, owner, name, tags]);
}

/** What other nodes index, so that they need neither be sent whole records nor read them. As lines of headers. */
export function recordHeaders(about: string, outline: Omit<Outline, 'definition'>): string {
  const { wakeAt: at, status, isRunning, isBoxed, high, alarmAt: alarm } = outline;
  return `${JOB}: ${about}\r\n${STATE}: ${at ?? '-'} ${status} ${isRunning ? 1 : 0} ${isBoxed ? 1 : 0} ${high ?? '-'}${alarm === null ? '' : ` ${alarm}`}\r\n`;
}

export function tombstoneHeaders(isBoxed: boolean, high: EpochMs | null): string {
  return `${OPERATION}: DEL\r\n${STATE}: - removed 0 ${isBoxed ? 1 : 0} ${high ?? '-'}\r\n`;
}

export function stateOutline(record: JobRecord, isBoxed: boolean, high: EpochMs | null): Omit<Outline, 'definition'> {
  const { status, runs } = record.state;
  return { wakeAt: wakeAt(record), status, isRunning: runningCount(runs) > 0, isBoxed, high, alarmAt: alarmAt(record) };
}

const SHARED = 5_000;

/** Reads headers of records. Equal definitions become one object, as long as there are not too many different ones. */
export class OutlineReader {
  readonly #abouts = new Map<string, About>();

  /** `undefined` where the headers are not ours: somebody wrote with another tool. */
  read(about: string | undefined, state: string | undefined): Outline | undefined {
    const rest = readStateHeader(state);
    const definition = about === undefined ? undefined : this.about(about);
    return rest === undefined || definition === undefined ? undefined : { definition, ...rest };
  }

  about(text: string): About | undefined {
    const known = this.#abouts.get(text);
    if (known !== undefined) return known;
    const about = parseAbout(text);
    if (about === undefined) return undefined;
    if (this.#abouts.size >= SHARED) this.#abouts.clear();
    this.#abouts.set(text, about);
    return about;
  }
}

export function readStateHeader(text: string | undefined): Omit<Outline, 'definition'> | undefined {
  const [at, status, running, boxed, high, alarm = '-'] = text?.split(' ') ?? [];
  if (at === undefined || status === undefined || running === undefined || boxed === undefined || high === undefined) return undefined;
  return { wakeAt: numberOf(at), status: status as JobStatus, isRunning: running === '1', isBoxed: boxed === '1', high: numberOf(high), alarmAt: numberOf(alarm) };
}

function numberOf(text: string): number | null {
  return text === '-' ? null : Number(text);
}

function parseAbout(text: string): About | undefined {
  try {
    const [task, taskVersion, executor, priority, kind, owner, name, tags] = JSON.parse(text) as [string, number, string, number, string, string | null, string | null, string[]];
    return { text, fn: null, task, taskVersion, policy: { executor, priority }, kind, owner, name, tags };
  } catch {
    return undefined;
  }
}
