import type { LedgerEntry, StoredResult, Verdict } from '../../model/ledger.js';
import type { ErrorInfo } from '../../model/run.js';
import { parseJson } from '../../serializers/parse-object.js';
import { isRunIdOf, putName, runIdOf } from '../shared/state-text.js';
import { beginText, endText, putCode, putNumber, putText } from '../shared/text-buffer.js';

const BLANK = 32;
const COMMA = 44;
const ZERO = 48;

/** What of an entry is not looked for. 0 stands for the id that a run for its fire time has. */
type Rest = [run: string | 0 | null, reason: string | null, count: number, exact: 0 | 1, generation: number, attempt: number, startedAt: number | null, node: string, error: ErrorInfo | null];

/**
 * Writes an entry as part of the text that is being written: verdict, first and last fire time, whether somebody asked for it
 * and when the verdict fell, which scripts look at, with blanks between them, and the rest as JSON. Its job and its result are kept
 * beside it.
 */
export function putLine({ jobId, runId, verdict, scheduledFor, scheduledTo, manual, at, reason, count, exact, generation, attempt, startedAt, node, error }: LedgerEntry): void {
  putText(verdict);
  putCode(BLANK);
  putNumber(scheduledFor);
  putCode(BLANK);
  putNumber(scheduledTo);
  putText(manual ? ' 1 ' : ' 0 ');
  putNumber(at);
  putText(' [');
  if (runId !== null && isRunIdOf(runId, jobId, scheduledFor)) putCode(ZERO);
  else putText(JSON.stringify(runId));
  putCode(COMMA);
  putText(reason === null ? 'null' : JSON.stringify(reason));
  putCode(COMMA);
  putNumber(count);
  putText(exact ? ',1,' : ',0,');
  putNumber(generation);
  putCode(COMMA);
  putNumber(attempt);
  putCode(COMMA);
  if (startedAt === null) putText('null');
  else putNumber(startedAt);
  putCode(COMMA);
  putName(node);
  putText(error === null ? ',null]' : `,${JSON.stringify(error)}]`);
}

export function lineOf(entry: LedgerEntry): string {
  beginText();
  putLine(entry);
  return endText();
}

/** @param resultText - empty for none. */
export function readLine(jobId: string, line: string, resultText: string): LedgerEntry {
  const [verdict, from, to, manual, at] = line.split(' ', 5);
  // One line that is damaged must not keep the others from being read.
  const parsed = parseJson(line.slice(line.indexOf('[')));
  const [run, reason, count, exact, generation, attempt, startedAt, node, error] = (Array.isArray(parsed) ? parsed : [null, null, 1, 0, 0, 0, null, '', null]) as Rest;
  const scheduledFor = Number(from);
  return {
    jobId,
    // An earlier release wrote '' for none.
    runId: run === 0 ? runIdOf(jobId, scheduledFor) : run === '' ? null : run,
    verdict: verdict as Verdict,
    reason,
    scheduledFor,
    scheduledTo: Number(to),
    count,
    exact: exact === 1,
    manual: manual === '1',
    generation,
    attempt,
    startedAt,
    at: Number(at),
    node,
    error,
    // What nobody can read is for the scheduler to say so.
    result: resultText === '' ? null : ((parseJson(resultText) as StoredResult | undefined) ?? { value: { by: '', data: resultText }, omitted: null, expiresAt: 0 }),
  };
}
