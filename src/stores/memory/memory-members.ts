import type { AnnounceRequest, Member, Members } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';

/** The nodes of a store in memory. */
export class MemoryMembers implements Members {
  readonly #members = new Map<string, Member>();

  announce({ node, about, now, ttlMs }: AnnounceRequest): void {
    for (const [name, { expiresAt }] of this.#members) if (expiresAt <= now) this.#members.delete(name);
    this.#members.set(node, { node, about, seenAt: now, expiresAt: now + ttlMs });
  }

  list(now: EpochMs): Member[] {
    return [...this.#members.values()].filter(({ expiresAt }) => expiresAt > now).sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  withdraw(node: string): void {
    this.#members.delete(node);
  }
}
