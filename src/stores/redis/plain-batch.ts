import type { JobDefinition } from '../../model/job.js';
import type { KnownDefinition } from '../shared/definition-cache.js';
import { partsOf } from './head.js';

/** What this process last read, or wrote, of a job. */
export interface KnownJob extends KnownDefinition<string> {
  readonly definition: JobDefinition;
  /** The whole of it, of which revision and definition are the first: who has it knows the indexes of the job, too. */
  head: string;
}

/** A line of the ledger, in the order in which {@link PlainBatch} has its columns. */
export type Line = readonly [run: string, verdict: string, from: string, to: string, manual: string, at: string, rest: string];

/** What of a change goes into columns. */
export interface PlainChange {
  /** Among the changes of the call. */
  readonly place: number;
  readonly id: string;
  readonly known: KnownJob;
  readonly wake: string;
  readonly flags: string;
  readonly state: string;
}

/** A text for each change, or one where it is that of all, which mostly is so with what belongs to one moment. */
class Column {
  readonly #texts: string[] = [];
  #isOne = true;

  add(text: string): void {
    if (this.#isOne && this.#texts.length > 0 && text !== this.#texts[0]) this.#isOne = false;
    this.#texts.push(text);
  }

  toJSON(): string | readonly string[] {
    return this.#isOne ? this.#texts[0]! : this.#texts;
  }
}

/** Changes that take one call of `COMMIT_PLAIN`. */
export class PlainBatch {
  readonly changes: PlainChange[] = [];
  /** What the heads are replaced by. */
  readonly heads: string[] = [];
  readonly #nonce: string;
  readonly #expected: string[] = [];
  readonly #wakes = new Column();
  readonly #lanes = new Column();
  readonly #marks = new Column();
  readonly #lines = Array.from({ length: 6 }, () => new Column());
  readonly #rests: string[] = [];

  /** @param nonce - what the revisions begin with. */
  constructor(nonce: string) {
    this.#nonce = nonce;
  }

  /** Answers whether the change is a plain one, and was taken. All of a batch have a line for the ledger, or none has. */
  add(change: PlainChange, line: Line | undefined): boolean {
    const { id, known, wake, flags } = change;
    const { head } = known;
    // What has a line of its own in a text.
    if (head.includes('\n') || id.includes('\n')) return false;
    const { status, running, lane } = partsOf(head);
    if (!flags.startsWith(status)) return false;
    this.changes.push(change);
    this.heads.push(`${this.#nonce}.${this.changes.length} ${known.revision} ${flags} ${wake} ${lane}`);
    this.#expected.push(head);
    this.#wakes.add(wake);
    this.#lanes.add(lane);
    this.#marks.add(flags[1] === running ? '=' : running === '0' ? '+' : '-');
    if (line === undefined) return true;
    this.#lines.forEach((column, i) => { column.add(line[i]!); });
    this.#rests.push(line[6]);
    return true;
  }

  /** The revision that is written for a change. */
  revision(index: number): string {
    return `${this.#nonce}.${index + 1}`;
  }

  /** @param above - entries of a job above which it is told that they are many. */
  args(above: number): string[] {
    const columns = [this.changes.map(({ id }) => id), this.heads, this.#wakes, this.#lanes, this.#marks];
    const texts = [this.#expected.join('\n'), this.changes.map(({ state }) => state).join('\n')];
    if (this.#rests.length === 0) return [JSON.stringify(columns), ...texts];
    return [JSON.stringify([...columns, String(above), ...this.#lines]), ...texts, this.#rests.join('\n')];
  }
}
