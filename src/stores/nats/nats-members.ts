import type { AnnounceRequest, Member, Members } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseObject } from '../../serializers/parse-object.js';
import { decodeKey, encodeKey } from './keys.js';
import type { Link } from './link.js';
import { readMessage, type Names, type StreamInfo } from './streams.js';

/** Nodes in the bucket of leases. Whoever lists them takes out those whose time is up. */
export class NatsMembers implements Members {
  readonly #link: Link;
  readonly #names: Names;
  readonly #prefix: string;

  constructor(link: Link, names: Names) {
    this.#link = link;
    this.#names = names;
    this.#prefix = `${names.leaseSubject}node.`;
  }

  async announce({ node, about, now, ttlMs }: AnnounceRequest): Promise<void> {
    await this.#link.store(this.#subjectOf(node), JSON.stringify({ about, seenAt: now, expiresAt: now + ttlMs }), {});
  }

  async list(now: EpochMs): Promise<Member[]> {
    const { state } = await this.#link.api<StreamInfo>(`STREAM.INFO.${this.#names.leases}`, { subjects_filter: `${this.#prefix}*` });
    const members = await Promise.all(Object.keys(state.subjects ?? {}).map(async (subject) => this.#read(subject, now)));
    return members.filter((member) => member !== undefined).sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  async withdraw(node: string): Promise<void> {
    await this.#purge(this.#subjectOf(node));
  }

  async #read(subject: string, now: EpochMs): Promise<Member | undefined> {
    const message = await readMessage(this.#link, this.#names.leases, { last_by_subj: subject });
    const node = decodeKey(subject.slice(this.#prefix.length));
    if (message === undefined || node === undefined) return undefined;
    const { about, seenAt, expiresAt } = parseObject(message.data) as Partial<Member>;
    if (typeof about !== 'string' || typeof seenAt !== 'number' || typeof expiresAt !== 'number') return undefined;
    if (expiresAt > now) return { node, about, seenAt, expiresAt };
    // Up to this message, and not one that the node may have written since.
    await this.#purge(subject, message.seq + 1);
    return undefined;
  }

  async #purge(filter: string, seq?: number): Promise<void> {
    await this.#link.api(`STREAM.PURGE.${this.#names.leases}`, seq === undefined ? { filter } : { filter, seq });
  }

  #subjectOf(node: string): string {
    return `${this.#prefix}${encodeKey(node, 'name of a node')}`;
  }
}
