import {
  MemoryJobStore,
  type ClaimRequest,
  type ClaimScope,
  type JobAlarms,
  type JobChange,
  type JobPage,
  type JobQuery,
  type JobRecord,
  type Lease,
  type Member,
  type Members,
  type Leases,
  type Ledger,
  type LedgerEntry,
  type Revision,
  type StoredJob,
} from 'punctual';

type Answers = (Revision | undefined)[];

/** Stores with one deliberate fault each: what the contract is there to catch. */
export const brokenStores: Readonly<Record<string, () => MemoryJobStore>> = {
  'the last writer wins': () =>
    new (class extends MemoryJobStore {
      override commit(changes: readonly JobChange[]): Answers {
        return super.commit(changes.map((change) => ({ ...change, expected: this.get(change.id)?.revision ?? change.expected })));
      }
    })({ shared: true }),

  'an alarm stays where it was when the job was added': () =>
    new (class extends MemoryJobStore {
      #first: JobAlarms | undefined;
      override alarms(): JobAlarms {
        const alarms = super.alarms();
        return (this.#first ??= alarms.nextAt === null ? undefined : alarms) ?? alarms;
      }
    })(),

  'what is overdue is answered whether it was said or not': () =>
    new (class extends MemoryJobStore {
      override list(query: JobQuery): JobPage {
        const { overdue, ...rest } = query;
        return overdue === true && query.alarmBy === undefined ? super.list({ ...rest, alarmBy: Number.MAX_SAFE_INTEGER }) : super.list(query);
      }
    })(),

  'a gap between reading the revision and writing': () =>
    new (class extends MemoryJobStore {
      override commit(changes: readonly JobChange[]): Answers {
        const fits = changes.map(({ id, expected }) => this.get(id)?.revision === expected);
        return Promise.resolve().then(() =>
          super.commit(changes.map((change, i) => (fits[i] === true ? { ...change, expected: this.get(change.id)?.revision ?? 0 } : change))),
        ) as unknown as Answers;
      }
    })({ shared: true }),

  'revisions begin again after a delete': () =>
    new (class extends MemoryJobStore {
      readonly #versions = new Map<string, { real: Revision; shown: number }>();

      override insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
        return super.insert(records).map((stored) => stored && this.#show(stored, 1));
      }
      override get(id: string): StoredJob | undefined {
        const stored = super.get(id);
        return stored && { ...stored, revision: this.#versions.get(id)?.shown ?? 0 };
      }
      override commit(changes: readonly JobChange[]): Answers {
        return changes.map((change) => {
          const version = this.#versions.get(change.id);
          const expected = version?.shown === change.expected ? version.real : -1;
          const [real] = super.commit([{ ...change, expected }]);
          if (real === undefined || version === undefined) return undefined;
          version.real = real;
          return ++version.shown;
        });
      }
      #show(stored: StoredJob, shown: number): StoredJob {
        this.#versions.set(stored.record.id, { real: stored.revision, shown });
        return { ...stored, revision: shown };
      }
    })({ shared: true }),

  'one conflict fails the whole batch': () =>
    new (class extends MemoryJobStore {
      override commit(changes: readonly JobChange[]): Answers {
        const ok = changes.every(({ id, expected }) => this.get(id)?.revision === expected);
        return ok ? super.commit(changes) : changes.map(() => undefined);
      }
    })({ shared: true }),

  'a write that changes nothing keeps its revision': () =>
    new (class extends MemoryJobStore {
      override commit(changes: readonly JobChange[]): Answers {
        return changes.map((change) => {
          const stored = this.get(change.id);
          if (stored?.revision === change.expected && stored.record === change.next) return stored.revision;
          return super.commit([change])[0];
        });
      }
    })({ shared: true }),

  'the ledger is written even when the record is not': () =>
    new (class extends MemoryJobStore {
      readonly #extra: LedgerEntry[] = [];
      override commit(changes: readonly JobChange[]): Answers {
        const answers = super.commit(changes);
        answers.forEach((answer, i) => {
          if (answer === undefined) this.#extra.push(...(changes[i]?.ledger ?? []));
        });
        return answers;
      }
      override get ledger(): Ledger {
        const inner = super.ledger;
        return {
          prunedThrough: (jobId) => inner.prunedThrough(jobId),
          list: async (query) => {
            const page = await inner.list(query);
            return { ...page, entries: [...page.entries, ...(query.after === undefined ? this.#extra : [])] };
          },
        };
      }
    })({ shared: true }),

  'the last verdict of a job goes with it': () =>
    new (class extends MemoryJobStore {
      override commit(changes: readonly JobChange[]): Answers {
        return super.commit(changes.map((change) => (change.next === null ? { ...change, ledger: [] } : change)));
      }
    })({ shared: true }),

  'insert takes the place of what is there': () =>
    new (class extends MemoryJobStore {
      override insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
        for (const { id } of records) {
          const stored = this.get(id);
          if (stored !== undefined) super.commit([{ id, expected: stored.revision, next: null, ledger: [] }]);
        }
        return super.insert(records);
      }
    })({ shared: true }),

  'answers are the live objects of the store': () =>
    new (class extends MemoryJobStore {
      readonly #live = new Map<string, { record: JobRecord; revision: Revision }>();
      override insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
        return super.insert(records).map((stored) => {
          if (stored !== undefined) this.#live.set(stored.record.id, { ...stored });
          return stored && this.#live.get(stored.record.id);
        });
      }
      override get(id: string): StoredJob | undefined {
        return super.get(id) && this.#live.get(id);
      }
      override commit(changes: readonly JobChange[]): Answers {
        const answers = super.commit(changes);
        changes.forEach(({ id, next }, i) => {
          const live = this.#live.get(id);
          const revision = answers[i];
          if (live !== undefined && revision !== undefined && next !== null) Object.assign(live, { record: next, revision });
        });
        return answers;
      }
    })({ shared: true }),

  'a claim knows no priority': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        const all = super.claimDue({ ...request, limit: 1_000 });
        return all.sort((a, b) => (a.record.state.nextDueAt ?? 0) - (b.record.state.nextDueAt ?? 0)).slice(0, request.limit);
      }
    })({ shared: true }),

  'a claim asks for everybody’s tasks': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        return super.claimDue({ ...request, tasks: new Map([...request.tasks, ['elsewhere', 1]]) });
      }
    })({ shared: true }),

  'what this node cannot run takes up the limit': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        const all = super.claimDue({ ...request, tasks: new Map([...request.tasks, ['elsewhere', 1]]) });
        return all.filter(({ record }) => request.tasks.has(record.definition.task));
      }
    })({ shared: true }),

  'a claim does not count what an executor takes': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        const open = [...request.executors].flatMap(([alias, free]) => (free > 0 ? [[alias, 1_000] as const] : []));
        return super.claimDue({ ...request, executors: new Map(open) });
      }
    })({ shared: true }),

  'a claim is due one millisecond late': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        return super.claimDue({ ...request, now: request.now - 1 });
      }
    })({ shared: true }),

  'what was claimed stays hidden': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        return super.claimDue({ ...request, reserveMs: Number.MAX_SAFE_INTEGER });
      }
    })({ shared: true }),

  'the next wake-up leaves out what is hidden': () =>
    new (class extends MemoryJobStore {
      readonly #hidden = new Set<string>();
      override claimDue(request: ClaimRequest): StoredJob[] {
        const claimed = super.claimDue(request);
        for (const { record } of claimed) this.#hidden.add(record.id);
        return claimed;
      }
      override nextWakeAt(scope: ClaimScope): number | null {
        return this.#hidden.size > 0 ? null : super.nextWakeAt(scope);
      }
    })({ shared: true }),

  'the next wake-up lies in the past while somebody else’s job is due': () =>
    new (class extends MemoryJobStore {
      override nextWakeAt(scope: ClaimScope): number | null {
        return super.nextWakeAt({ ...scope, tasks: new Map([...scope.tasks, ['elsewhere', 1]]) });
      }
    })({ shared: true }),

  'the index knows the schedule alone, not the leases': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        return super.claimDue(request).filter(({ record }) => (record.state.nextDueAt ?? Infinity) <= request.now);
      }
    })({ shared: true }),

  'list is in order of insertion': () =>
    new (class extends MemoryJobStore {
      readonly #order: string[] = [];
      override insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
        this.#order.push(...records.map(({ id }) => id));
        return super.insert(records);
      }
      override list(query: JobQuery): JobPage {
        const { jobs } = super.list({ ...query, after: undefined, limit: 1_000 });
        const sorted = [...jobs].sort((a, b) => this.#order.indexOf(a.record.id) - this.#order.indexOf(b.record.id));
        const start = query.after === undefined ? 0 : sorted.findIndex(({ record }) => record.id === query.after) + 1;
        const page = sorted.slice(start, start + query.limit);
        const more = start + query.limit < sorted.length;
        return { jobs: page, nextCursor: more ? (page.at(-1)?.record.id ?? null) : null };
      }
    })({ shared: true }),

  'a page is cut before it is filtered': () =>
    new (class extends MemoryJobStore {
      override list({ after, limit, ...filter }: JobQuery): JobPage {
        const page = super.list({ after, limit });
        const wanted = new Set(super.list({ ...filter, limit: 1_000 }).jobs.map(({ record }) => record.id));
        return { ...page, jobs: page.jobs.filter(({ record }) => wanted.has(record.id)) };
      }
    })({ shared: true }),

  'any one tag is enough': () =>
    new (class extends MemoryJobStore {
      override list(query: JobQuery): JobPage {
        return super.list({ ...query, tags: query.tags?.slice(0, 1) });
      }
    })({ shared: true }),

  'history is dropped without a word': () =>
    new (class extends MemoryJobStore {
      override get ledger(): Ledger {
        const inner = super.ledger;
        return { list: (query) => inner.list(query), prunedThrough: () => null };
      }
    })({ shared: true }),

  'the newest page begins at the wrong end': () =>
    new (class extends MemoryJobStore {
      override get ledger(): Ledger {
        const inner = super.ledger;
        return {
          prunedThrough: (jobId) => inner.prunedThrough(jobId),
          list: async (query) => {
            const page = await inner.list({ ...query, newestFirst: false });
            return query.newestFirst === true ? { ...page, entries: [...page.entries].reverse() } : page;
          },
        };
      }
    })({ shared: true }),

  'nobody is told of changes': () =>
    new (class extends MemoryJobStore {
      override watch(): () => void {
        return () => undefined;
      }
    })({ shared: true }),

  'a lease that has run out goes to nobody': () => withLeases((inner) => ({
    acquire: (request) => inner.acquire({ ...request, now: Math.min(request.now, T0) }),
  })),
  'a renewal is a new tenure': () => withLeases((inner) => ({
    acquire: (request) => {
      void inner.release(request.key, request.holder);
      return inner.acquire(request);
    },
  })),
  'anybody can release a lease': () => withLeases((inner) => ({
    release: (key) => {
      const held = inner.get(key) as Lease | undefined;
      if (held !== undefined) void inner.release(key, held.holder);
    },
  })),
  'every lease is free': () => withLeases((inner) => ({ acquire: (request) => inner.acquire({ ...request, force: true }) })),
  'tokens begin again': () => withLeases((inner) => ({
    acquire: (request) => {
      const lease = inner.acquire(request) as Lease | undefined;
      return lease && { ...lease, token: 1 };
    },
  })),
  'a node takes what its tasks are too old for': () =>
    new (class extends MemoryJobStore {
      override claimDue(request: ClaimRequest): StoredJob[] {
        return super.claimDue({ ...request, tasks: new Map([...request.tasks].map(([name]) => [name, Number.MAX_SAFE_INTEGER])) });
      }
    })({ shared: true }),
  'nobody can be asked for runs that go on': () =>
    new (class extends MemoryJobStore {
      override list({ running: _ignored, ...query }: JobQuery): JobPage {
        return super.list(query);
      }
    })({ shared: true }),
  'a node that died is there for ever': () => withMembers((inner) => ({ list: () => inner.list(0) })),
  'a node that leaves stays': () => withMembers(() => ({ withdraw: () => undefined })),
  'the first word of a node is its last': () => withMembers((inner) => ({
    announce: (request) => {
      if ((inner.list(request.now) as Member[]).every(({ node }) => node !== request.node)) void inner.announce(request);
    },
  })),
  'nodes are in order of arrival': () => withMembers((inner) => ({
    list: (now) => [...(inner.list(now) as Member[])].sort((a, b) => a.seenAt - b.seenAt),
  })),
};

const T0 = Date.UTC(2026, 0, 1);

/** A store whose leases have a fault. */
function withLeases(faults: (inner: Leases) => Partial<Leases>): MemoryJobStore {
  const store = new MemoryJobStore({ shared: true });
  const inner = store.leases;
  const { acquire, get, release } = { acquire: inner.acquire.bind(inner), get: inner.get.bind(inner), release: inner.release.bind(inner) };
  return Object.assign(store, { leases: { acquire, get, release, ...faults(inner) } });
}

/** A store whose knowledge of its nodes has a fault. */
function withMembers(faults: (inner: Members) => Partial<Members>): MemoryJobStore {
  const store = new MemoryJobStore({ shared: true });
  const inner = store.members;
  const { announce, list, withdraw } = { announce: inner.announce.bind(inner), list: inner.list.bind(inner), withdraw: inner.withdraw.bind(inner) };
  return Object.assign(store, { members: { announce, list, withdraw, ...faults(inner) } });
}
