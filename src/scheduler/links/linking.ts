import { addFollowers } from '../../core/links/followers.js';
import { CHECK_MS, patched, waitsAlike, withLinks, type LinkChanges } from '../../core/links/links.js';
import { inspectValue } from '../../errors/base.js';
import { UnknownDependencyError } from '../../errors/dependency-errors.js';
import { InvalidOptionError } from '../../errors/errors.js';
import type { JobDefinition, JobRecord } from '../../model/job.js';
import type { Follower, Heard, MetWait, Wait } from '../../model/links.js';
import type { Clock } from '../../ports/clock.js';
import type { JobWriter } from '../../ports/job-store.js';
import { jobIdOf } from '../run-ids.js';
import type { StoreLoop } from '../store-loop.js';
import { refuseCycles } from './cycles.js';
import type { Dependencies, Dependency } from './dependencies.js';
import { fateOf, follow, followerOf, wasThere, type Fate } from './sources.js';

/** Jobs that may follow one. Its record holds all of them, and is written with each run. */
const MOST_FOLLOWERS = 1_000;

/** A job about to be written, and what it waits for. */
export interface Linkable {
  readonly fresh: JobRecord;
  readonly dependencies?: Dependencies | undefined;
  /** It is in the store, and will be changed there. */
  readonly isStored?: boolean | undefined;
  /** The job that it is added again for: one that waits, and goes on waiting if that is for the same. */
  readonly kept?: JobRecord | undefined;
}

export interface LinkHost {
  readonly loop: StoreLoop;
  readonly clock: Clock;
  readonly node: string;
  /** Where the jobs are written: in a transaction of the user's, those of the same transaction are seen, too. */
  readonly writer: JobWriter;
}

export function isLinked({ fresh, dependencies }: Linkable): boolean {
  return dependencies !== undefined || fresh.definition.trigger.follows !== undefined;
}

/**
 * Ties jobs that are about to be written to those they follow. First everything is checked; then they are entered with the
 * jobs they follow that are in the store. Those among themselves are tied in their records, which is what this answers.
 *
 * A follower that is entered and never added is forgotten after a minute. One that is added, and was not entered after all,
 * finds out by itself (`checkAt`).
 *
 * @throws UnknownDependencyError, DependencyCycleError, InvalidOptionError. Nothing was changed then.
 */
export async function linkJobs(host: LinkHost, items: readonly Linkable[]): Promise<JobRecord[]> {
  const linking = new Linking(host, items);
  await linking.plan();
  return linking.carryOut();
}

/** The same without writing anything. */
export async function checkLinks(host: LinkHost, items: readonly Linkable[]): Promise<void> {
  await new Linking(host, items).plan();
}

interface Entry {
  readonly source: string;
  readonly follower: Follower;
  /** The index of the job that follows. */
  readonly index: number;
}

class Linking {
  readonly #host: LinkHost;
  readonly #items: readonly Linkable[];
  readonly #records: JobRecord[];
  readonly #own = new Map<string, number>();
  readonly #read = new Map<string, JobRecord | undefined>();
  readonly #entries: Entry[] = [];

  constructor(host: LinkHost, items: readonly Linkable[]) {
    this.#host = host;
    this.#items = items;
    this.#records = items.map(({ fresh }) => fresh);
    items.forEach(({ fresh }, index) => this.#own.set(fresh.id, index));
  }

  async plan(): Promise<void> {
    const linked: number[] = [];
    for (const [index, item] of this.#items.entries()) {
      if (!isLinked(item)) continue;
      linked.push(index);
      await this.#planOne(index, item);
    }
    await refuseCycles(linked.map((index) => this.#records[index]!), async (id) => this.#own.has(id) ? this.#records[this.#own.get(id)!] : this.#stored(id));
    const counts = new Map<string, number>();
    for (const { source } of this.#entries) counts.set(source, (counts.get(source) ?? 0) + 1);
    for (const [source, count] of counts) {
      const all = count + ((await this.#recordOf(source))?.state.links?.followers?.length ?? 0);
      if (all > MOST_FOLLOWERS) throw new InvalidOptionError('dependsOn', source, `a job that at most ${MOST_FOLLOWERS} others follow`, 'Let them follow one that follows it.');
    }
  }

  async carryOut(): Promise<JobRecord[]> {
    const bySource = new Map<string, Entry[]>();
    for (const entry of this.#entries) bySource.set(entry.source, [...(bySource.get(entry.source) ?? []), entry]);
    for (const [source, entries] of bySource) {
      const own = this.#own.get(source);
      const fence = own === undefined || this.#items[own]?.isStored === true ? await this.#enter(source, entries) : this.#enterOwn(own, entries);
      for (const { index, follower } of entries) if (follower.once === undefined) this.#hearsFrom(index, source, fence);
    }
    return this.#records;
  }

  async #planOne(index: number, { fresh, dependencies, kept }: Linkable): Promise<void> {
    const { id, definition } = fresh;
    if (definition.trigger.onEachNode !== undefined) {
      throw new InvalidOptionError('exclusive', false, 'true for a job that follows others', 'What ends once can start one run, and not one on each node.');
    }
    const now = this.#host.loop.now();
    const { follows } = definition.trigger;
    for (const source of follows?.jobs ?? []) {
      await this.#requireJob(id, source);
      this.#entries.push({ source, follower: { to: id, on: follows!.on, since: now }, index });
    }
    let links = fresh.state.links ?? { since: now };
    if (dependencies !== undefined) {
      const token = globalThis.crypto.randomUUID().slice(0, 13);
      const { on, onFailure } = dependencies;
      const patient = onFailure === 'wait';
      const waits: Wait[] = [];
      const met: MetWait[] = [];
      const entries: Entry[] = [];
      let isLost = false;
      links = patched(links, { onFailure: onFailure === 'cancel' ? undefined : onFailure });
      for (const [order, dependency] of on.entries()) {
        const { source, fate } = await this.#resolve(id, dependency);
        if (fate.kind === 'ended' && (fate.verdict === 'succeeded' || onFailure === 'run')) {
          met.push({ jobId: source, runId: fate.runId, verdict: fate.verdict, order });
          continue;
        }
        // Several waits for one job have to be told apart.
        const wait: Wait = { source, order, token: `${token}${order === 0 ? '' : `.${order}`}`, ...(fate.kind === 'pending' && fate.run !== undefined ? { run: fate.run } : {}) };
        const ended = fate.kind === 'ended' && !patient;
        isLost ||= ended;
        waits.push(ended && fate.runId !== null ? { ...wait, run: fate.runId } : wait);
        if (!ended) entries.push({ source, follower: followerOf({ ...fresh, state: withLinks(fresh.state, links) }, wait, now), index });
      }
      // It was too late before it began: the first look at it finds that, and it is called off with a line in the history.
      links = patched(links, { waits: waits.length === 0 ? undefined : waits, met: met.length === 0 ? undefined : met, checkAt: isLost ? now : now + CHECK_MS });
      // One that is added again, as at each start of a program, is entered with those already.
      if (kept?.state.links === undefined || !waitsAlike(kept.state.links, links)) this.#entries.push(...entries);
    } else {
      links = patched(links, { checkAt: now + CHECK_MS });
    }
    this.#records[index] = { ...fresh, state: withLinks(fresh.state, links) };
  }

  /** The job that is meant, and what becomes of the run of it that is. */
  async #resolve(id: string, dependency: Dependency): Promise<{ source: string; fate: Exclude<Fate, { kind: 'unknown' }> }> {
    if (dependency.kind !== 'run') {
      const record = await this.#recordOf(dependency.id);
      if (record !== undefined && record.state.status !== 'removed') return this.#known(id, dependency.id, undefined, record);
    }
    const runId = dependency.kind === 'run' ? dependency.runId : dependency.id;
    const ofRun = dependency.kind === 'job' ? undefined : jobIdOf(runId);
    if (ofRun !== undefined) {
      const record = await this.#recordOf(ofRun);
      const fate = await fateOf(this.#host.loop, ofRun, runId, record);
      if (fate.kind !== 'unknown') return this.#known(id, ofRun, runId, record, fate);
    }
    if (dependency.kind !== 'run') {
      const record = await this.#recordOf(dependency.id);
      return this.#known(id, dependency.id, undefined, record);
    }
    throw this.#unknown(id, runId);
  }

  async #known(id: string, source: string, run: string | undefined, record: JobRecord | undefined, known?: Fate): Promise<{ source: string; fate: Exclude<Fate, { kind: 'unknown' }> }> {
    refuseEachNode(source, record);
    const fate = known ?? (await fateOf(this.#host.loop, source, run, record));
    if (fate.kind === 'unknown') throw this.#unknown(id, run ?? source);
    return { source, fate };
  }

  /** @throws UnknownDependencyError unless the job is there, or was. */
  async #requireJob(id: string, source: string): Promise<void> {
    const record = await this.#recordOf(source);
    refuseEachNode(source, record);
    if (record !== undefined || (await wasThere(this.#host.loop, source))) return;
    const job = jobIdOf(source);
    const isRun = job !== undefined && (await fateOf(this.#host.loop, job, source, await this.#recordOf(job))).kind !== 'unknown';
    throw isRun ? new UnknownDependencyError(id, source, this.#host.loop.access.alias, job) : this.#unknown(id, source);
  }

  #unknown(id: string, dependency: string): UnknownDependencyError {
    return new UnknownDependencyError(id, dependency, this.#host.loop.access.alias);
  }

  async #recordOf(id: string): Promise<JobRecord | undefined> {
    const own = this.#own.get(id);
    return own === undefined ? this.#stored(id) : this.#records[own];
  }

  async #stored(id: string): Promise<JobRecord | undefined> {
    if (this.#read.has(id)) return this.#read.get(id);
    const { loop, writer } = this.#host;
    const record = (await loop.access.get(id))?.record ?? (writer === loop.access ? undefined : (await writer.get(id))?.record);
    this.#read.set(id, record);
    return record;
  }

  #enterOwn(index: number, entries: readonly Entry[]): number {
    const { loop, node } = this.#host;
    const record = this.#records[index]!;
    const { next } = addFollowers(record, entries.map(({ follower }) => follower), 0, { now: loop.now(), node });
    this.#records[index] = next ?? record;
    return this.#records[index].state.fence;
  }

  async #enter(source: string, entries: readonly Entry[]): Promise<number> {
    const { loop, clock, node, writer } = this.#host;
    const followers = entries.map(({ follower }) => follower);
    const first = this.#records[entries[0]!.index]!;
    if (writer !== loop.access && (await loop.access.get(source)) === undefined) {
      // It is of the same transaction, and nobody else sees it yet.
      const stored = await writer.get(source);
      const { next } = stored === undefined ? { next: null } : addFollowers(stored.record, followers, 0, { now: loop.now(), node });
      if (stored !== undefined && next !== null) {
        await writer.commit([{ id: source, expected: stored.revision, next, ledger: [] }]);
        return next.state.fence;
      }
    }
    const { seq, late } = await follow(loop, { clock, node }, source, followers, first);
    for (const { index, follower } of entries) if (late.includes(follower)) this.#patch(index, { checkAt: loop.now() });
    return seq;
  }

  /** What a source told before is nothing to a job that follows it from now on. */
  #hearsFrom(index: number, source: string, seq: number): void {
    const heard = this.#records[index]!.state.links?.heard?.map((one): Heard => (one.source === source ? { ...one, seq } : one));
    if (heard !== undefined) this.#patch(index, { heard });
  }

  #patch(index: number, changes: LinkChanges): void {
    const record = this.#records[index]!;
    const { links } = record.state;
    if (links !== undefined) this.#records[index] = { ...record, state: withLinks(record.state, patched(links, changes)) };
  }
}

function refuseEachNode(source: string, record: JobRecord | undefined): void {
  if (record?.definition.trigger.onEachNode === undefined || record.state.status === 'removed') return;
  throw new InvalidOptionError('dependsOn', source, 'a job of which one node takes each fire time', 'Each node runs that one by itself (`exclusive: false`), and it has no one end.');
}

/** @throws InvalidOptionError when a job that others follow would be run by each node, so that they would hear of it no more. */
export function refuseFollowedOnEachNode({ id, definition, state }: JobRecord, next: JobDefinition): void {
  const [follower] = state.links?.followers ?? [];
  if (follower === undefined || next.trigger.onEachNode === undefined || definition.trigger.onEachNode !== undefined) return;
  throw new InvalidOptionError('exclusive', false, 'true for a job that others follow', `Job ${inspectValue(follower.to)} follows ${inspectValue(id)}, and what each node runs by itself has no one end.`);
}
