import type { JobRecord } from '../model/job.js';
import type { LedgerEntry, Verdict } from '../model/ledger.js';
import type { EpochMs } from '../ports/trigger.js';
import { nextFire } from './fires.js';
import { awaitsEvent } from './settle.js';

export interface LedgerProblem {
  readonly jobId: string;
  readonly scheduledFor: EpochMs;
  /** `missing`: a fire time without verdict. `duplicate`: one with two. `unexpected`: a verdict on no fire time. */
  readonly problem: 'missing' | 'duplicate' | 'unexpected';
}

export interface LedgerAudit {
  readonly problems: readonly LedgerProblem[];
  /** Fire times by verdict, ranges by their count. */
  readonly counts: Readonly<Record<Verdict, number>>;
  /** Live runs: fire times whose verdict is still to come. */
  readonly pending: number;
}

/** Most fire times of a job looked at one by one; a range counts once. */
const STEP_LIMIT = 100_000;

/**
 * Checks that the history of one job adds up: no fire time of one schedule has two verdicts, and within the present schedule each
 * fire time up to the cursor has one verdict or a live run. Entries up to `prunedThrough` are no longer complete and
 * are only counted. Without a record (the job is gone) only duplicates can be told.
 */
export function auditLedger(
  jobId: string,
  record: JobRecord | undefined,
  entries: readonly LedgerEntry[],
  prunedThrough: EpochMs | null,
): LedgerAudit {
  const problems: LedgerProblem[] = [];
  const counts = { succeeded: 0, failed: 0, missed: 0, coalesced: 0, skipped: 0, cancelled: 0, abandoned: 0 };
  for (const entry of entries) counts[entry.verdict] += entry.count;
  const live = record?.state.runs ?? [];

  const spans: Span[] = [];
  for (const entry of entries) {
    if (!entry.manual) spans.push({ from: entry.scheduledFor, to: entry.scheduledTo, generation: entry.generation });
  }
  for (const run of live) {
    if (!run.manual) spans.push({ from: run.scheduledFor, to: run.scheduledFor, generation: null });
  }
  spans.sort((a, b) => a.from - b.from || a.to - b.to);

  // Another generation is another schedule, or another job that had the id: it may have had the same fire times.
  const reached = new Map<number | null, EpochMs>();
  for (const span of spans) {
    const generation = span.generation ?? record?.state.generation ?? null;
    const through = reached.get(generation) ?? Number.NEGATIVE_INFINITY;
    if (span.from <= through && span.from > (prunedThrough ?? Number.NEGATIVE_INFINITY)) {
      problems.push({ jobId, scheduledFor: span.from, problem: 'duplicate' });
    }
    reached.set(generation, Math.max(through, span.to));
  }
  try {
    if (record !== undefined) findHoles(record, spans, prunedThrough, problems);
  } catch {
    // A trigger that throws tells no fire times. Its job goes into quarantine when it fires next; one that is paused has not yet.
  }
  return { problems, counts, pending: live.length };
}

interface Span {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly generation: number | null;
}

function findHoles(
  record: JobRecord,
  spans: readonly Span[],
  prunedThrough: EpochMs | null,
  problems: LedgerProblem[],
): void {
  const { state, definition, id } = record;
  const { firstFireTime, lastFireTime, generation } = state;
  // Fire times measured from completion, or from a start, lie on no grid: each is known only when it comes up.
  if (definition.trigger.nextAfterCompletion !== undefined || awaitsEvent(definition)) return;
  if (state.status === 'quarantined') return;
  if (firstFireTime === null || lastFireTime === null || lastFireTime < firstFireTime) return;

  const own = spans.filter((span) => span.from >= firstFireTime && (span.generation ?? generation) === generation);
  let expected: EpochMs | null = firstFireTime;
  if (prunedThrough !== null && prunedThrough >= firstFireTime) expected = nextFire(definition, prunedThrough);
  let steps = 0;
  for (const span of own) {
    if (++steps > STEP_LIMIT || (prunedThrough !== null && span.from <= prunedThrough)) continue;
    if (nextFire(definition, span.from - 1) !== span.from) {
      problems.push({ jobId: id, scheduledFor: span.from, problem: 'unexpected' });
    }
    if (expected === null || span.from < expected) continue;
    if (span.from > expected) {
      problems.push({ jobId: id, scheduledFor: expected, problem: 'missing' });
    }
    expected = nextFire(definition, span.to);
  }
  if (expected !== null && expected <= lastFireTime) {
    problems.push({ jobId: id, scheduledFor: expected, problem: 'missing' });
  }
}
