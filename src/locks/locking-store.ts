import type { Lock } from './lock.js';
import type { LockHolder, LockOptions } from './lock-options.js';
import type { StoreLocks } from './store-locks.js';

/** A store that has locks, as each of punctual's own does. */
export interface LockStore {
  lock(name: string, options?: LockOptions): Promise<Lock | undefined>;
  lockHolder(name: string, options?: Pick<LockOptions, 'clock'>): Promise<LockHolder | undefined>;
}

/** What the stores that have leases have in common. */
export abstract class LockingStore implements LockStore {
  /** @internal */
  protected abstract readonly locks: StoreLocks;

  /**
   * Takes the lock of this name, of which there is one among all who use the store. It needs no scheduler: a store that none
   * has opened is connected for as long as a lock of it is held or waited for.
   *
   * Who waits learns of a release within a second at most, mostly sooner; there is no queue, so that it is any of those
   * who wait that gets it. Nor does it know its owner: whoever asks twice, even in one process, waits for himself.
   *
   * @returns the lock; `undefined` when another has it, and had it until `wait` was over.
   * @throws InvalidOptionError; what the store throws when it cannot be asked (with `wait`, when it could not at the end of
   * that); the reason of `signal`.
   * @example
   * ```ts
   * await using lock = await store.lock('invoices', { ttl: { seconds: 30 }, wait: { minutes: 1 } });
   * if (lock === undefined) throw new Error('somebody else has been at it for a minute');
   * await sendInvoices({ signal: lock.signal });
   * ```
   */
  lock(name: string, options: LockOptions = {}): Promise<Lock | undefined> {
    return this.locks.lock(name, options);
  }

  /** Who has the lock of this name now; `undefined` when it is free. @throws InvalidOptionError, and what the store throws. */
  lockHolder(name: string, options: Pick<LockOptions, 'clock'> = {}): Promise<LockHolder | undefined> {
    return this.locks.holder(name, options.clock);
  }
}
