import type { MaybePromise } from '../ports/job-store.js';
import type { Logger } from '../ports/logger.js';
import type { StoreAccess } from './store-access.js';

/** Listens to what a store tells of changes, once however often that is asked for. */
export class StoreWatch {
  readonly #access: StoreAccess;
  readonly #logger: Logger;
  readonly #onChange: () => void;
  /** Never rejects. */
  #stop: Promise<(() => MaybePromise<void>) | undefined> | undefined;

  constructor(access: StoreAccess, logger: Logger, onChange: () => void) {
    this.#access = access;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  /** Does nothing where it listens already. Never rejects: what failed is tried again the next time. */
  async open(): Promise<void> {
    await (this.#stop ??= this.#watch());
  }

  /** Also for one that is being opened. @throws what the store throws. */
  async close(): Promise<void> {
    const opening = this.#stop;
    this.#stop = undefined;
    const stop = await opening;
    await stop?.();
  }

  async #watch(): Promise<(() => MaybePromise<void>) | undefined> {
    try {
      return await this.#access.watch(this.#onChange);
    } catch (error) {
      // A hint is no promise: polling goes on without it.
      this.#logger.warn('the job store cannot watch for changes; they are found by polling', { error, jobStore: this.#access.alias });
      this.#stop = undefined;
      return undefined;
    }
  }
}
