import type { ClaimRequest, ClaimScope, JobChange, JobDemand, Revision, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseJson } from '../../serializers/parse-object.js';
import { CLAIM, DEMANDS, NEXT } from './claim-scripts.js';
import type { Reply } from './driver.js';
import { partsOf } from './head.js';
import { rowsOf, type JobTable, type Row } from './job-table.js';
import { Lanes, readLane } from './lanes.js';
import type { Link } from './link.js';

const MOST = 1_000;

/** After one of its changes was lost to somebody else, a store hides what it claims for so long. */
const HIDES_AFTER_LOSS_MS = 10_000;
/** How long others are taken to be there without asking, at most: a node that leaves says so. */
const HIDES_UNASKED_MS = 10_000;

/** A record that was claimed. */
interface Claimed {
  readonly head: string;
  /** When it wakes, and would be claimed again. */
  readonly wakeAt: EpochMs;
  readonly until: EpochMs;
}

/**
 * Finds what is due. Where other nodes may be, it is hidden from them in the same round trip. A node that is alone writes
 * nothing to claim: what it has claimed, it keeps in mind until that is committed, as long as it would have been hidden.
 */
export class Claims {
  readonly #link: Link;
  readonly #jobs: JobTable;
  readonly #node: string;
  readonly #lanes = new Lanes();
  /** Whether the last claim met jobs of which the definition is not known here: then the next one asks for all of them. */
  #wantsBodies = true;
  /** Whether claims are answered as one text. */
  #asText = true;
  /** What was claimed without being hidden, by id. */
  readonly #claimed = new Map<string, Claimed>();
  /** Of these, what was committed: a claim that was on its way meanwhile may still bring it as it was. */
  #committed: [id: string, claimed: Claimed][] = [];
  /** Claims on their way. */
  #asking = 0;
  /** Until when everything is hidden. */
  #hidesUntil = Number.NEGATIVE_INFINITY;
  /** A change was lost: the next claim says from when on. */
  #hasLost = false;

  constructor(link: Link, jobs: JobTable, node: string) {
    this.#link = link;
    this.#jobs = jobs;
    this.#node = node;
  }

  async claim(request: ClaimRequest): Promise<StoredJob[]> {
    const { now, reserveMs, executors, tasks } = request;
    const limit = Math.min(Math.floor(request.limit), MOST);
    if (!(limit > 0) || executors.size === 0 || tasks.size === 0) return [];
    this.#forget(now, reserveMs);
    this.#asking += 1;
    try {
      for (let more = 0; ; ) {
        const { rows, isHidden } = await this.#ask(request, limit, more, more > 0 ? '0' : this.#hidesUntil > now ? '1' : '');
        const fresh = this.#fresh(rows);
        if (isHidden) return await this.#read(fresh);
        if (fresh.length === rows.length || more >= this.#claimed.size) {
          return await this.#read(this.#keep(more === 0 ? fresh : within(fresh, executors, limit), request));
        }
        // What comes first is under way. What comes after that, in as many as are wanted.
        more = this.#claimed.size;
      }
    } finally {
      this.#asking -= 1;
    }
  }

  /** Was written, or was not, as the answer says; without one that is not known. */
  committed(changes: readonly JobChange[], answers?: readonly (Revision | undefined)[]): void {
    if (answers?.includes(undefined) === true) this.#hasLost = true;
    if (this.#claimed.size === 0) return;
    for (const { id } of changes) {
      const claimed = this.#claimed.get(id);
      if (claimed !== undefined) this.#committed.push([id, claimed]);
    }
  }

  /** What is not under way here. A record that has changed since is another one. */
  #fresh(rows: readonly Row[]): readonly Row[] {
    return this.#claimed.size === 0 ? rows : rows.filter(({ id, head }) => this.#claimed.get(id)?.head !== head);
  }

  #keep(rows: readonly Row[], { now, reserveMs }: ClaimRequest): readonly Row[] {
    for (const { id, head } of rows) {
      // What was claimed last is last: what takes too long is looked for from the front.
      this.#claimed.delete(id);
      this.#claimed.set(id, { head, wakeAt: Number(partsOf(head).wake), until: now + reserveMs });
    }
    return rows;
  }

  /** Lets go of what is no longer under way, or takes too long. A clock that was wrong, and set back, keeps nothing for long. */
  #forget(now: EpochMs, reserveMs: number): void {
    if (this.#hasLost) this.#hidesUntil = now + HIDES_AFTER_LOSS_MS;
    else if (this.#hidesUntil > now + HIDES_AFTER_LOSS_MS) this.#hidesUntil = now;
    this.#hasLost = false;
    this.#letGo();
    for (const [id, { until }] of this.#claimed) {
      if (until > now && until <= now + 2 * reserveMs) break;
      this.#claimed.delete(id);
    }
  }

  #letGo(): void {
    if (this.#asking > 0) return;
    for (const [id, claimed] of this.#committed) if (this.#claimed.get(id) === claimed) this.#claimed.delete(id);
    this.#committed = [];
  }

  /** @param more - so many more than are wanted, of each executor as well. @param hides - `''`: where others are. */
  async #ask(request: ClaimRequest, limit: number, more: number, hides: string): Promise<{ rows: Row[]; isHidden: boolean }> {
    const { now, reserveMs, executors } = request;
    const most = limit + more;
    for (;;) {
      const servable = this.#lanes.servable(request);
      const places = new Map<string, number>();
      const free: string[] = [];
      const lanes: string[] = [];
      for (const { name, executor, priority } of servable) {
        let place = places.get(executor);
        if (place === undefined) {
          free.push(String(Math.max(1, Math.min(Math.floor(executors.get(executor)!) + more, most))));
          places.set(executor, (place = free.length));
        }
        lanes.push(name, String(place), String(priority));
      }
      const bodies = this.#wantsBodies ? '1' : this.#asText ? '0' : '';
      const times = [String(now), String(now + reserveMs), String(now + 2 * reserveMs)];
      const answer = (await this.#link.run(CLAIM, [...times, String(most), bodies, this.#lanes.epoch, hides, this.#node, String(free.length), ...free, ...lanes])) as Reply[];
      if (this.#lanes.take(answer)) continue;
      const [, isHidden, others] = answer;
      if (others !== '') this.#hidesUntil = Math.min(Number(others), now + HIDES_UNASKED_MS);
      const rows = typeof answer[3] === 'string' ? rowsIn(answer[3], Number(answer[4])) : rowsOf(answer.slice(3));
      if (rows !== undefined) return { rows, isHidden: Number(isHidden) === 1 };
      // Somebody has broken a state: it is the only one to be put into quarantine. What was hidden comes again when that ends.
      this.#asText = false;
    }
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    if (scope.executors.size === 0 || scope.tasks.size === 0) return null;
    this.#letGo();
    for (;;) {
      const lanes = this.#lanes.servable(scope).map(({ name }) => name);
      const answer = (await this.#link.run(NEXT, [this.#lanes.epoch, String(Math.min(this.#claimed.size, MOST)), ...lanes])) as Reply[];
      if (this.#lanes.take(answer)) continue;
      const first = answer[1] as readonly string[];
      let earliest = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < first.length; i += 2) {
        const at = Number(first[i + 1]);
        const claimed = this.#claimed.get(first[i]!);
        earliest = Math.min(earliest, claimed?.wakeAt === at ? claimed.until : at);
      }
      return Number.isFinite(earliest) ? earliest : null;
    }
  }

  /** Lanes differ in their priority, too, which asks nothing of a node. */
  async demands(): Promise<JobDemand[]> {
    const demands = new Map<string, JobDemand>();
    const answer = (await this.#link.run(DEMANDS, [])) as string[];
    for (let i = 0; i + 1 < answer.length; i += 2) {
      const { task, taskVersion, executor } = readLane(answer[i]!);
      const wakeAt = Number(answer[i + 1]);
      const key = JSON.stringify([task, taskVersion, executor]);
      if (wakeAt < (demands.get(key)?.wakeAt ?? Number.POSITIVE_INFINITY)) demands.set(key, { task, taskVersion, executor, wakeAt });
    }
    return [...demands.values()];
  }

  async #read(rows: readonly Row[]): Promise<StoredJob[]> {
    const found: (StoredJob | null | undefined)[] = rows.map((row) => (row.body === undefined ? this.#jobs.readKnown(row) : this.#jobs.read(row)));
    // What was added together has one definition: whoever has read that of one knows all.
    let missing = places(found, (i) => partsOf(rows[i]!.head).definition);
    let fetched = 0;
    while (missing.length > 0) {
      fetched += missing.length;
      // As they are now: one that has changed since is as good, and one that is gone is nobody's.
      const whole = new Map((await this.#jobs.rows(missing.map((i) => rows[i]!.id))).map((row) => [row.id, row]));
      for (const i of missing) {
        const row = whole.get(rows[i]!.id);
        found[i] = row === undefined ? null : this.#jobs.read(row);
      }
      rows.forEach((row, i) => { if (found[i] === undefined) found[i] = this.#jobs.readKnown(row); });
      missing = places(found, (i) => i);
    }
    if (rows.length > 0) this.#wantsBodies = fetched * 2 > rows.length;
    return found.filter((job) => job != null);
  }
}

/** Where nothing is yet: the first place of those that are alike. */
function places(found: readonly (StoredJob | null | undefined)[], alike: (place: number) => unknown): number[] {
  const first = new Map<unknown, number>();
  found.forEach((job, i) => {
    if (job === undefined && !first.has(alike(i))) first.set(alike(i), i);
  });
  return [...first.values()];
}

/** `undefined` where the text is not what it should be. */
function rowsIn(text: string, count: number): Row[] | undefined {
  const values = parseJson(text) as readonly unknown[] | undefined;
  if (values === undefined) return undefined;
  const rows: Row[] = [];
  let before: Row | undefined;
  for (let i = 0; i < values.length; i++) {
    const id = values[i];
    const told = values[(i += 1)];
    const head = typeof told === 'string' ? told : before?.head;
    if (typeof id !== 'string' || head === undefined || (head !== told && told !== 0 && told !== 1)) return undefined;
    before = { id, head, state: told === 1 ? before!.state : values[(i += 1)], body: undefined };
    rows.push(before);
  }
  return rows.length === count ? rows : undefined;
}

/** The first of them, and of each executor no more than it takes. */
function within(rows: readonly Row[], executors: ClaimScope['executors'], limit: number): Row[] {
  const taken = new Map<string, number>();
  const isWanted = ({ head }: Row): boolean => {
    const { executor } = readLane(partsOf(head).lane);
    const count = taken.get(executor) ?? 0;
    taken.set(executor, count + 1);
    return count < (executors.get(executor) ?? 0);
  };
  return rows.filter(isWanted).slice(0, limit);
}
