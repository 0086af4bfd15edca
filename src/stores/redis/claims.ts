import type { ClaimRequest, ClaimScope, JobDemand, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Reply } from './driver.js';
import { CLAIM, DEMANDS, NEXT } from './job-scripts.js';
import { rowsOf, type JobTable, type Row } from './job-table.js';
import { Lanes, readLane } from './lanes.js';
import type { Link } from './link.js';

const MOST = 1_000;

/** Finds what is due, and hides it in the same round trip. */
export class Claims {
  readonly #link: Link;
  readonly #jobs: JobTable;
  readonly #lanes = new Lanes();
  /** Whether the last claim met jobs of which the definition is not known here: then the next one asks for all of them. */
  #wantsBodies = true;

  constructor(link: Link, jobs: JobTable) {
    this.#link = link;
    this.#jobs = jobs;
  }

  async claim(request: ClaimRequest): Promise<StoredJob[]> {
    const { now, reserveMs, executors, tasks } = request;
    const limit = Math.min(Math.floor(request.limit), MOST);
    if (!(limit > 0) || executors.size === 0 || tasks.size === 0) return [];
    for (;;) {
      const servable = this.#lanes.servable(request);
      const places = new Map<string, number>();
      const free: string[] = [];
      const lanes: string[] = [];
      for (const { name, executor, priority } of servable) {
        let place = places.get(executor);
        if (place === undefined) {
          free.push(String(Math.max(1, Math.min(Math.floor(executors.get(executor)!), limit))));
          places.set(executor, (place = free.length));
        }
        lanes.push(name, String(place), String(priority));
      }
      const bodies = this.#wantsBodies ? '1' : '0';
      const times = [String(now), String(now + reserveMs), String(now + 2 * reserveMs)];
      const answer = (await this.#link.run(CLAIM, [...times, String(limit), bodies, this.#lanes.epoch, String(free.length), ...free, ...lanes])) as Reply[];
      if (!this.#lanes.take(answer)) return this.#read(rowsOf(answer.slice(1)));
    }
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    if (scope.executors.size === 0 || scope.tasks.size === 0) return null;
    for (;;) {
      const lanes = this.#lanes.servable(scope).map(({ name }) => name);
      const answer = (await this.#link.run(NEXT, [this.#lanes.epoch, ...lanes])) as Reply[];
      if (!this.#lanes.take(answer)) return answer[1] === null || answer[1] === undefined ? null : Number(answer[1]);
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
    const known = rows.map((row) => this.#jobs.readKnown(row));
    const strange = rows.filter((_, i) => known[i] === undefined);
    if (rows.length > 0) this.#wantsBodies = strange.length * 2 > rows.length;
    const missing = strange.filter(({ body }) => body === undefined).map(({ id }) => id);
    // As they are now: one that has changed since is as good, and one that is gone is nobody's.
    const whole = new Map(missing.length === 0 ? [] : (await this.#jobs.rows(missing)).map((row) => [row.id, row]));
    const isMissing = new Set(missing);
    return rows.flatMap((row, i) => {
      const found = isMissing.has(row.id) ? whole.get(row.id) : row;
      return known[i] ?? (found === undefined ? [] : this.#jobs.read(found));
    });
  }
}
