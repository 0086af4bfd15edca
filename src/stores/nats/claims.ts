import { randomUUID } from 'node:crypto';
import type { Clock } from '../../ports/clock.js';
import type { ClaimRequest, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseJson } from '../../serializers/parse-object.js';
import type { NatsSubscription } from './driver.js';
import type { JobEntry, JobIndex } from './job-index.js';
import type { JobTable } from './job-table.js';
import type { Link } from './link.js';
import type { Names } from './streams.js';

/** Since when a node that has not claimed anything is no longer reckoned with. */
const ACTIVE_MS = 10_000;
/** How long jobs that another node comes first for are left to it: some round trips in a data centre. */
const YIELD_MS = 5;
/** Ids told of in one notice. */
const MOST_TOLD = 1_000;

/** `[node, hidden until, [id, revision, id, revision, …]]`. */
type Notice = [node: string, until: EpochMs, claimed: (string | number)[]];

const decoder = new TextDecoder();

/**
 * Finds what is due in this node's index, and keeps nodes out of each other's way. All wake up at the same moment and see
 * the same jobs, and a server without queries cannot share them out. So each tells the others what it has claimed, and of
 * jobs that are due at one time it takes first those for which it comes first (the greatest hash of node and job), leaving
 * the others some milliseconds to speak. It is a hint all the way: only the commit decides.
 */
export class Claims {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #names: Names;
  readonly #index: JobIndex;
  readonly #jobs: JobTable;
  readonly #self = randomUUID().slice(0, 8);
  readonly #salt = hash(this.#self, 0);
  /** Other nodes that claim: what their hashes begin with, and when they were last heard. */
  readonly #others = new Map<string, { readonly salt: number; heardAt: number }>();
  /** What others have claimed. */
  readonly #taken = new Map<string, { readonly revision: number; readonly until: EpochMs }>();
  #subscription: NatsSubscription | undefined;

  constructor(link: Link, clock: Clock, names: Names, index: JobIndex, jobs: JobTable) {
    this.#link = link;
    this.#clock = clock;
    this.#names = names;
    this.#index = index;
    this.#jobs = jobs;
  }

  start(): void {
    this.#subscription = this.#link.subscribe(this.#names.notices, ({ data }) => { this.#heard(parseJson(decoder.decode(data))); });
  }

  close(): void {
    this.#subscription?.unsubscribe();
  }

  async claim(request: ClaimRequest): Promise<StoredJob[]> {
    const { now, reserveMs } = request;
    const found = this.#index.wakes.claim(request).filter((entry) => this.#isFree(entry, now));
    const salts = this.#activeSalts();
    let mine = salts.length === 0 ? found : found.filter(({ id }) => this.#comesFirst(id, salts));
    if (mine.length === 0 && found.length > 0) {
      const revisions = found.map(({ revision }) => revision);
      await new Promise<void>((resolve) => { this.#clock.setTimer(YIELD_MS, resolve); });
      mine = found.filter((entry, at) => entry.revision === revisions[at] && this.#index.get(entry.id) === entry && this.#isFree(entry, now));
    } else if (mine.length < found.length) {
      const taken = new Set(mine);
      for (const entry of found) if (!taken.has(entry)) this.#index.wakes.show(entry);
    }
    if (mine.length === 0) return [];
    this.#tell(mine, now + reserveMs);
    const wanted = mine.map(({ id, revision }) => ({ id, revision }));
    const jobs = await this.#jobs.fetch(wanted);
    // What was written in the meantime is not what was due.
    return jobs.filter((stored, at) => stored?.revision === wanted[at]!.revision) as StoredJob[];
  }

  /** Whether no other node has said that it has it. */
  #isFree({ id, revision }: JobEntry, now: EpochMs): boolean {
    const taken = this.#taken.get(id);
    return taken?.revision !== revision || taken.until <= now;
  }

  #activeSalts(): number[] {
    const since = this.#clock.monotonic() - ACTIVE_MS;
    const salts: number[] = [];
    for (const [node, { salt, heardAt }] of this.#others) {
      if (heardAt >= since) salts.push(salt);
      else this.#others.delete(node);
    }
    return salts;
  }

  /** Rendezvous hashing: nodes agree on who comes first for a job, and when one goes, only its jobs go to others. */
  #comesFirst(id: string, salts: readonly number[]): boolean {
    const own = hash(id, this.#salt);
    return salts.every((salt) => hash(id, salt) < own);
  }

  #tell(entries: readonly JobEntry[], until: EpochMs): void {
    for (let from = 0; from < entries.length; from += MOST_TOLD) {
      const claimed = entries.slice(from, from + MOST_TOLD).flatMap(({ id, revision }) => [id, revision]);
      this.#link.tell(this.#names.notices, JSON.stringify([this.#self, until, claimed] satisfies Notice));
    }
  }

  #heard(value: unknown): void {
    if (!Array.isArray(value)) return;
    const [node, until, claimed] = value as Notice;
    if (node === this.#self || typeof node !== 'string' || typeof until !== 'number' || !Array.isArray(claimed)) return;
    this.#others.set(node, { salt: this.#others.get(node)?.salt ?? hash(node, 0), heardAt: this.#clock.monotonic() });
    for (let at = 0; at + 1 < claimed.length; at += 2) {
      const [id, revision] = [claimed[at] as string, claimed[at + 1] as number];
      const entry = this.#index.get(id);
      // One that is not here yet, or is past, is no matter of hiding.
      if (entry?.revision !== revision) continue;
      this.#taken.set(id, { revision, until });
      this.#index.wakes.hide(entry, until);
    }
    this.#forget();
  }

  /** Of what was written since, nobody needs to know who had claimed it. */
  #forget(): void {
    for (const [id, { revision }] of this.#taken) {
      if (this.#index.get(id)?.revision === revision) return;
      this.#taken.delete(id);
    }
  }
}

/** FNV-1a with a final mix, so that texts that differ in their last letter only are spread, too. */
function hash(text: string, salt: number): number {
  let value = (0x811c9dc5 ^ salt) >>> 0;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
