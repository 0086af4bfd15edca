import type { Clock, JobStore, Leases, MaybePromise, TimerHandle } from 'punctual';
import type { VirtualClock } from 'punctual/testing';

/** A machine with a clock of its own, that can be frozen as SIGSTOP or a hypervisor does it: nothing happens, time goes on. */
export class NodeClock implements Clock {
  readonly #world: VirtualClock;
  readonly #rate: number;
  #skewMs: number;
  #thawed: (() => void)[] | null = null;

  /** @param rate - by how much it goes too fast. */
  constructor(world: VirtualClock, skewMs = 0, rate = 1) {
    this.#world = world;
    this.#skewMs = skewMs;
    this.#rate = rate;
  }

  now(): number {
    return Math.floor(this.#world.now() + this.#skewMs);
  }

  monotonic(): number {
    return this.#world.monotonic() * this.#rate;
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    let isCancelled = false;
    const timer = this.#world.setTimer(delayMs / this.#rate, () => {
      this.whenAwake(() => { if (!isCancelled) callback(); });
    });
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  defer(callback: () => void): void {
    this.#world.defer(callback);
  }

  jump(ms: number): void {
    this.#skewMs += ms;
  }

  get isFrozen(): boolean {
    return this.#thawed !== null;
  }

  freeze(): void {
    this.#thawed ??= [];
  }

  thaw(): void {
    const waiting = this.#thawed ?? [];
    this.#thawed = null;
    for (const callback of waiting) callback();
  }

  whenAwake(callback: () => void): void {
    if (this.#thawed === null) callback();
    else this.#thawed.push(callback);
  }
}

/** How a connection treats one call. */
export interface Weather {
  readonly toMs: number;
  readonly fromMs: number;
  readonly fate: 'ok' | 'refused' | 'answer lost';
}

/** The leases of a store as one node reaches them. */
export class Connection implements Pick<JobStore, 'leases' | 'now'> {
  readonly leases: Leases;
  readonly now?: () => MaybePromise<number>;
  weather: () => Weather = () => ({ toMs: 0, fromMs: 0, fate: 'ok' });
  readonly #world: VirtualClock;
  readonly #node: NodeClock;

  constructor(world: VirtualClock, node: NodeClock, leases: Leases, hasClock: boolean) {
    this.#world = world;
    this.#node = node;
    this.leases = {
      // A store with a clock of its own goes by that.
      acquire: (request) => this.#call(() => leases.acquire(request)),
      get: (key) => this.#call(() => leases.get(key)),
      release: (key, holder) => this.#call(() => leases.release(key, holder)),
    };
    if (hasClock) this.now = () => this.#call(() => world.now());
  }

  async #call<T>(call: () => MaybePromise<T>): Promise<T> {
    const { toMs, fromMs, fate } = this.weather();
    await this.#world.sleep(toMs);
    if (fate === 'refused') throw new Error('the store is away');
    const answer = await call();
    await this.#world.sleep(fromMs);
    await new Promise<void>((resolve) => { this.#node.whenAwake(resolve); });
    if (fate === 'answer lost') throw new Error('the answer was lost');
    return answer;
  }
}
