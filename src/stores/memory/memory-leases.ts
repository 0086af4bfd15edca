import type { Lease, LeaseRequest, Leases } from '../../ports/job-store.js';

/** Leases of a store in memory. */
export class MemoryLeases implements Leases {
  readonly #leases = new Map<string, Lease>();
  readonly #watchers = new Map<string, Set<() => void>>();

  acquire({ key, holder, now, ttlMs, force = false }: LeaseRequest): Lease | undefined {
    const held = this.#leases.get(key);
    const isOwn = held?.holder === holder;
    if (held !== undefined && !isOwn && !force && held.expiresAt > now) return undefined;
    const lease = { key, holder, token: (held?.token ?? 0) + (isOwn ? 0 : 1), expiresAt: isOwn ? Math.max(held.expiresAt, now + ttlMs) : now + ttlMs };
    this.#leases.set(key, lease);
    return lease;
  }

  get(key: string): Lease | undefined {
    const lease = this.#leases.get(key);
    return lease?.expiresAt === RELEASED ? undefined : lease;
  }

  release(key: string, holder: string): void {
    const held = this.#leases.get(key);
    if (held?.holder !== holder) return;
    this.#leases.set(key, { ...held, holder: '', expiresAt: RELEASED });
    for (const onRelease of this.#watchers.get(key) ?? []) queueMicrotask(onRelease);
  }

  watch(key: string, onRelease: () => void): () => void {
    // Each call is told by itself, also if the function is the same.
    const watcher = (): void => { onRelease(); };
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(key) === watchers) this.#watchers.delete(key);
    };
  }
}

/** Stands for a lease that nobody has, and that keeps its token. */
const RELEASED = Number.NEGATIVE_INFINITY;
