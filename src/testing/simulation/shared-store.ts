import { wakeAt, type JobRecord } from '../../model/job.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { JobCodec } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import { MemoryJobStore } from '../../stores/memory/memory-job-store.js';
import { storeContext } from '../contracts/job-store/subject.js';
import { BASE } from './host.js';
import type { RecordAudit } from './record-audit.js';
import type { Report } from './report.js';
import type { World } from './world.js';

/** The server side of the store: what all nodes share, and the place from which the observers see each write. */
export class SharedStore {
  readonly memory: MemoryJobStore;
  /** Refuses everything until this world time. */
  downUntil = 0;
  /** Told of every record that is written. */
  onRecord: (record: JobRecord) => void = () => undefined;
  readonly #world: World;
  readonly #audit: RecordAudit;
  readonly #report: Report;
  readonly #codec: JobCodec | undefined;
  /** When each record was last written. */
  readonly #writtenAt = new Map<string, number>();

  /** @param codec - given: records pass through JSON on every way in and out. */
  constructor(world: World, audit: RecordAudit, report: Report, ledgerLimit: number, codec: JobCodec | undefined) {
    this.memory = new MemoryJobStore({ shared: true, ledger: { perJob: ledgerLimit } });
    this.memory.open(storeContext());
    this.#world = world;
    this.#audit = audit;
    this.#report = report;
    this.#codec = codec;
  }

  get durable(): boolean {
    return this.#codec !== undefined;
  }

  get isDown(): boolean {
    return this.#world.time < this.downUntil;
  }

  now(): number {
    return Math.floor(BASE + this.#world.time);
  }

  insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
    const answers = this.memory.insert(records.map((record) => this.through(record)));
    for (const stored of answers) {
      if (stored === undefined) continue;
      this.#writtenAt.set(stored.record.id, this.now());
      this.onRecord(stored.record);
    }
    return answers;
  }

  commit(changes: readonly JobChange[], node: string): (Revision | undefined)[] {
    const before = changes.map(({ id }) => this.memory.get(id));
    const answers = this.memory.commit(changes.map((change) => ({ ...change, next: change.next && this.through(change.next) })));
    changes.forEach(({ next, ledger }, i) => {
      const old = before[i];
      if (answers[i] === undefined) this.#report.totals.lostCommits += 1;
      else if (old !== undefined) this.#written(old, next, ledger, node);
    });
    return answers;
  }

  #written({ record }: StoredJob, next: JobRecord | null, ledger: readonly LedgerEntry[], node: string): void {
    this.#report.trace(() => `${node} wrote ${show(record)} => ${next === null ? 'gone' : show(next)}${ledger.map(({ verdict, reason, scheduledFor, runId }) => ` ${verdict}(${reason ?? ''}) ${runId ?? `@${scheduledFor}`}`).join()}`);
    this.#writtenAt.set(record.id, this.now());
    if (next !== null) this.onRecord(next);
    this.#audit.committed({ before: record, next, ledger, node, at: this.now() });
  }

  /** The record after a way through JSON, where the store has one. */
  through(record: JobRecord): JobRecord {
    return this.#codec === undefined ? record : this.#codec.decode(JSON.parse(JSON.stringify(this.#codec.encode(record))) as ReturnType<JobCodec['encode']>);
  }

  answer(stored: StoredJob): StoredJob {
    return this.#codec === undefined ? stored : { ...stored, record: this.through(stored.record) };
  }

  /** Every record there is. */
  records(): JobRecord[] {
    return this.memory.list({ limit: 10_000 }).jobs.map(({ record }) => record);
  }

  /** Records that have wanted attention since before `overdueMs` ago, as they are now. */
  overdue(overdueMs: number): JobRecord[] {
    const limit = this.now() - overdueMs;
    return this.records().filter(
      (record) => (wakeAt(record) ?? Number.POSITIVE_INFINITY) < limit && (this.#writtenAt.get(record.id) ?? 0) < limit,
    );
  }
}

export function show({ id, definition, state }: JobRecord): string {
  const runs = state.runs.map((run) =>
    run.state === 'running'
      ? `${run.id.slice(id.length)}!${run.attempt}/${run.owner} lease ${run.leaseUntil === null ? '-' : run.leaseUntil - BASE}${run.abort === null ? '' : ` ${run.abort}`}`
      : `${run.id.slice(id.length)}?${run.attempt}/${run.cause} ${run.readyAt - BASE}`,
  );
  return `${id}/${String(definition.args[0])} ${state.status} next ${state.nextFireTime === null ? '-' : state.nextFireTime - BASE} [${runs.join(', ')}]`;
}
