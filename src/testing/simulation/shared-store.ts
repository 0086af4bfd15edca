import { wakeAt, type JobRecord } from '../../model/job.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { JobCodec } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import { MemoryJobStore } from '../../stores/memory/memory-job-store.js';
import { storeContext } from '../contracts/job-store/subject.js';
import { BASE } from './host.js';
import type { AlarmAudit, Telling } from './alarm-audit.js';
import type { LinkAudit } from './link-audit.js';
import type { RecordAudit, WrittenChange } from './record-audit.js';
import type { Report } from './report.js';
import type { World } from './world.js';

/** Who judges what is written. */
export interface Audits {
  readonly records: RecordAudit;
  readonly links: LinkAudit;
  readonly alarms: AlarmAudit;
}

/** The server side of the store: what all nodes share, and the place from which the observers see each write. */
export class SharedStore {
  readonly memory: MemoryJobStore;
  /** Refuses everything until this world time. */
  downUntil = 0;
  /** Told of every record that is written. */
  onRecord: (record: JobRecord) => void = () => undefined;
  readonly #world: World;
  readonly #audits: Audits;
  readonly #report: Report;
  readonly #codec: JobCodec | undefined;
  /** When each record was last written, and who said last when it is due. */
  readonly #writtenAt = new Map<string, number>();
  readonly #putOffBy = new Map<string, string>();
  /** What whoever made a change has to tell once it hears that it was written. */
  readonly #tellings = new WeakMap<JobChange, readonly Telling[]>();

  /** @param codec - given: records pass through JSON on every way in and out. */
  constructor(world: World, audits: Audits, report: Report, ledgerLimit: number, codec: JobCodec | undefined) {
    this.memory = new MemoryJobStore({ shared: true, ledger: { perJob: ledgerLimit } });
    this.memory.open(storeContext());
    this.#world = world;
    this.#audits = audits;
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
    changes.forEach((change, i) => {
      const old = before[i];
      if (answers[i] === undefined) this.#report.totals.lostCommits += 1;
      else if (old !== undefined) this.#tellings.set(change, this.#written(old, change.next, change.ledger, node));
    });
    return answers;
  }

  tellingsOf(change: JobChange): readonly Telling[] {
    return this.#tellings.get(change) ?? [];
  }

  /** The node that said last when a job is due. */
  putOffBy(id: string): string | undefined {
    return this.#putOffBy.get(id);
  }

  #written({ record }: StoredJob, next: JobRecord | null, ledger: readonly LedgerEntry[], node: string): readonly Telling[] {
    this.#report.trace(() => `${node} wrote ${show(record)} => ${next === null ? 'gone' : show(next)}${ledger.map(({ verdict, reason, scheduledFor, runId }) => ` ${verdict}(${reason ?? ''}) ${runId ?? `@${scheduledFor}`}`).join()}`);
    this.#writtenAt.set(record.id, this.now());
    if (next?.state.nextDueAt !== record.state.nextDueAt) this.#putOffBy.set(record.id, node);
    if (next !== null) this.onRecord(next);
    const change: WrittenChange = { before: record, next, ledger, node, at: this.now() };
    this.#audits.records.committed(change);
    this.#audits.links.committed(change);
    return this.#audits.alarms.committed(change);
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
