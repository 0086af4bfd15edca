import type { Buffer } from 'node:buffer';
import type { JobDefinition, JobRecord } from '../../model/job.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { JsonObject } from '../../ports/job-codec.js';
import type { KnownDefinition } from '../shared/definition-cache.js';
import { putState } from '../shared/state-text.js';
import { beginText, cutText, endBytes, isRepeated, putCode, putText, textLength } from '../shared/text-buffer.js';
import { putLine } from './ledger-line.js';

/** What this process last read, or wrote, of a job. */
export interface KnownJob extends KnownDefinition<string> {
  readonly definition: JobDefinition;
  /** Of the record: who has it knows the indexes of the job, too. */
  current: string;
  /** Of the head. */
  status: string;
  running: string;
  lane: string;
}

/** What of a change is written. */
export interface PlainChange {
  /** Among the changes of the call. */
  readonly place: number;
  readonly known: KnownJob;
  readonly next: JobRecord;
  readonly wake: string;
  readonly flags: string;
  readonly entry: LedgerEntry | undefined;
}

/** A text for each change, or one where it is that of all, which mostly is so with what belongs to one moment. */
class Column {
  readonly #texts: string[] = [];
  #isOne = true;

  add(text: string): void {
    if (this.#isOne && this.#texts.length > 0 && text !== this.#texts[0]) this.#isOne = false;
    this.#texts.push(text);
  }

  /** As the script is told of it. */
  get kind(): string {
    return this.#isOne ? '1' : 'n';
  }

  put(): void {
    const [first = ''] = this.#texts;
    putPiece(first);
    if (this.#isOne) return;
    for (let i = 1; i < this.#texts.length; i++) putPiece(this.#texts[i] === this.#texts[i - 1] ? '' : this.#texts[i]!);
  }
}

/** Changes that take one call of `COMMIT_PLAIN`. */
export class PlainBatch {
  readonly changes: PlainChange[] = [];
  /** That of all of them: what they were before was another one. */
  readonly revision: string;
  readonly #expected = new Column();
  readonly #heads = new Column();
  readonly #wakes = new Column();
  readonly #lanes = new Column();
  readonly #marks = new Column();
  readonly #troubles = new Column();
  #definition = '';
  #flags = '';
  #head = '';

  constructor(revision: string) {
    this.revision = revision;
  }

  /** Answers whether the change is a plain one, and was taken. All of a batch have a line for the ledger, or none has. */
  add(change: PlainChange): boolean {
    const { known, next, wake, flags, entry } = change;
    // What ends a text.
    if (next.id.includes('\0') || known.lane.includes('\0')) return false;
    if (!flags.startsWith(known.status)) return false;
    this.changes.push(change);
    this.#expected.add(known.current);
    this.#heads.add(this.#headOf(known.revision, flags));
    this.#wakes.add(wake);
    this.#lanes.add(known.lane);
    this.#marks.add(flags[1] === known.running ? '=' : known.running === '0' ? '+' : '-');
    if (entry !== undefined) this.#troubles.add(entry.verdict === 'succeeded' ? '0' : '1');
    return true;
  }

  /** What the new head begins with: mostly the same as that of the one before. */
  #headOf(definition: string, flags: string): string {
    if (definition !== this.#definition || flags !== this.#flags) {
      this.#definition = definition;
      this.#flags = flags;
      this.#head = `${this.revision} ${definition} ${flags}`;
    }
    return this.#head;
  }

  /** It was written. */
  written({ known, flags }: PlainChange): void {
    known.current = this.revision;
    known.running = flags[1]!;
  }

  /**
   * Bytes, since drivers take what is long by itself and in one piece, and texts would have to be put together before.
   *
   * @param above - entries of a job above which it is told that they are many.
   */
  args(encodeState: (record: JobRecord) => JsonObject, above: number): [shape: string, texts: Buffer] {
    const { changes } = this;
    // Before a text is begun, of which there is one: a serializer is the user's code, and may call a store.
    const states = changes.map(({ next }) => encodeState(next));
    const isLogged = changes[0]!.entry !== undefined;
    const columns = [this.#expected, this.#heads, this.#wakes, this.#lanes, this.#marks];
    beginText();
    for (const { next } of changes) putPiece(next.id);
    for (const column of columns) column.put();
    putPieces(changes.length, (i) => { putState(changes[i]!.next.id, states[i]!); });
    let kinds = `${columns.map(({ kind }) => kind).join('')}n`;
    if (isLogged) {
      this.#troubles.put();
      putPieces(changes.length, (i) => { putLine(changes[i]!.entry!); });
      kinds += `${this.#troubles.kind}n`;
    }
    return [`${changes.length} ${isLogged ? above : '-'} ${kinds}`, endBytes()];
  }
}

function putPiece(text: string): void {
  putText(text);
  putCode(0);
}

/** One that is the same as the one before is left empty: jobs that were added together are often alike. */
function putPieces(count: number, put: (place: number) => void): void {
  let [from, to] = [0, 0];
  for (let i = 0; i < count; i++) {
    const start = textLength();
    put(i);
    if (isRepeated(start, from, to)) cutText(start);
    else [from, to] = [start, textLength()];
    putCode(0);
  }
}
