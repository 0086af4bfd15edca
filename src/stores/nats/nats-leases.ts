import type { Lease, LeaseRequest, Leases } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseObject } from '../../serializers/parse-object.js';
import { ApiError, NatsStoreError, translate, WRONG_LAST_SEQUENCE } from './errors.js';
import { EXPECTED } from './job-form.js';
import { encodeKey } from './keys.js';
import type { NatsSubscription } from './driver.js';
import type { Link } from './link.js';
import { findStream, readMessage, type Names } from './streams.js';

/** Times that others may be faster before something is wrong. */
const ATTEMPTS = 50;

/** As it is stored. A released one has no end, and stays for its token. */
interface StoredLease {
  readonly holder: string;
  readonly token: number;
  readonly expiresAt: EpochMs | null;
}

const decoder = new TextDecoder();

/**
 * Leases in a bucket of their own, by compare-and-set. Of a release the nodes tell each other. The server drops what nobody has
 * written for a month; a token is never above the number of its message, so that one that begins anew after the last number
 * of the stream is above all that were given for its key before.
 */
export class NatsLeases implements Leases {
  readonly #link: Link;
  readonly #names: Names;
  /** By key. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #subscription: NatsSubscription | undefined;

  constructor(link: Link, names: Names) {
    this.#link = link;
    this.#names = names;
  }

  async acquire({ key, holder, now, ttlMs, force = false }: LeaseRequest): Promise<Lease | undefined> {
    return this.#change(key, (held, least) => {
      const isHeld = held !== undefined && held.expiresAt !== null;
      const isOwn = isHeld && held.holder === holder;
      if (isHeld && !isOwn && !force && held.expiresAt > now) return undefined;
      return { holder, token: (held?.token ?? least) + (isOwn ? 0 : 1), expiresAt: isOwn ? Math.max(held.expiresAt, now + ttlMs) : now + ttlMs };
    });
  }

  async get(key: string): Promise<Lease | undefined> {
    const found = await this.#read(key);
    return found === undefined ? undefined : leaseOf(key, found.lease);
  }

  async release(key: string, holder: string): Promise<void> {
    let isOwn = false;
    await this.#change(key, (held) => {
      isOwn = held?.holder === holder && leaseOf(key, held) !== undefined;
      return isOwn ? { holder: '', token: held!.token, expiresAt: null } : undefined;
    });
    if (!isOwn) return;
    // A connection may have been told not to hear itself.
    this.#released(key);
    this.#link.tell(this.#notices, key);
  }

  watch(key: string, onRelease: () => void): () => void {
    this.#subscription ??= this.#link.subscribe(this.#notices, ({ data }) => { this.#released(decoder.decode(data)); });
    const waiting = this.#waiting.get(key) ?? new Set();
    const listener = (): void => { onRelease(); };
    this.#waiting.set(key, waiting.add(listener));
    return () => {
      waiting.delete(listener);
      if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
    };
  }

  close(): void {
    this.#waiting.clear();
    this.#subscription?.unsubscribe();
  }

  #released(key: string): void {
    for (const listener of [...(this.#waiting.get(key) ?? [])]) listener();
  }

  get #notices(): string {
    return `${this.#names.notices}.released`;
  }

  async #change(key: string, next: (held: StoredLease | undefined, least: number) => StoredLease | undefined): Promise<Lease | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const found = await this.#read(key);
      const lease = next(found?.lease, found?.seq ?? (await this.#lastSequence()));
      if (lease === undefined) return undefined;
      try {
        await this.#link.store(this.#subjectOf(key), JSON.stringify(lease), { [EXPECTED]: String(found?.seq ?? 0) });
        return leaseOf(key, lease);
      } catch (error) {
        if (!(error instanceof ApiError && error.problem === WRONG_LAST_SEQUENCE)) throw translate(error);
      }
    }
    throw new NatsStoreError('timeout', `The lease "${key}" changes hands too fast. Look for nodes that ask for it without a pause.`);
  }

  async #lastSequence(): Promise<number> {
    return (await findStream(this.#link, this.#names.leases))?.state.last_seq ?? 0;
  }

  async #read(key: string): Promise<{ readonly lease: StoredLease | undefined; readonly seq: number } | undefined> {
    const message = await readMessage(this.#link, this.#names.leases, { last_by_subj: this.#subjectOf(key) });
    if (message === undefined) return undefined;
    const { holder, token, expiresAt } = parseObject(message.data) as Partial<StoredLease>;
    const isWhole = typeof holder === 'string' && typeof token === 'number' && expiresAt !== undefined;
    return { lease: isWhole ? { holder, token, expiresAt } : undefined, seq: message.seq };
  }

  #subjectOf(key: string): string {
    return `${this.#names.leaseSubject}lease.${encodeKey(key, 'lease')}`;
  }
}

function leaseOf(key: string, lease: StoredLease | undefined): Lease | undefined {
  if (lease === undefined || lease.expiresAt === null) return undefined;
  return { key, holder: lease.holder, token: lease.token, expiresAt: lease.expiresAt };
}
