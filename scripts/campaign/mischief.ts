/** What is done to the processes of a round, to their ways to the store, and to its server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../src/testing/simulation/random.js';
import { RECOVERY } from './attempts.js';
import { WAKE_MS } from './audit-takeover.js';
import type { Child, Children } from './children.js';
import type { Server } from './engines.js';
import { disturb, NETWORK_FAULTS, ProxiedLine } from './lines.js';

const MOST_SKEW_MS = 600_000;
/** A process that does not work by then may be disturbed all the same. */
const RIPE_MS = 10_000;
/** A shutdown that has not come to its end by then never will. */
const LEAVE_MS = 120_000;

export interface MischiefOptions {
  readonly children: Children;
  readonly server: Server | undefined;
  readonly random: Random;
  readonly leaseMs: number;
  /** Processes at a time. */
  readonly width: number;
  readonly onBreach: (check: string, what: string) => void;
}

export class Mischief {
  readonly #options: MischiefOptions;
  readonly #disturbances: Promise<void>[] = [];
  /** By kind. Kills and stops are counted by the children. */
  readonly #counts = new Map<string, number>();
  #serverIsDown = false;

  constructor(options: MischiefOptions) {
    this.#options = options;
    const { children, random, leaseMs } = options;
    children.onFrozen = (child) => { this.#later(this.#thaw(child, random.whole(leaseMs * 0.2, leaseMs * 2))); };
  }

  /** By kind. */
  get faults(): Readonly<Record<string, number>> {
    const { kills, stops, leaves } = this.#options.children;
    return { kills, stops, 'graceful restarts': leaves, ...Object.fromEntries(this.#counts) };
  }

  get count(): number {
    return Object.values(this.faults).reduce((sum, count) => sum + count, 0);
  }

  /** Goes on until there were so many faults, or `isOver` says so. In the end nothing lives, and nothing is disturbed. */
  async make(faults: number, isOver: () => boolean): Promise<void> {
    const { children, random, width } = this.#options;
    this.#refill();
    while (this.count < faults - width && !isOver()) {
      await this.#pause();
      // What is frozen stays so until its time has come: to go on late is what it is there for.
      const awake = children.living.filter(({ frozen, leaving }) => !frozen && !leaving);
      // Few before they work: else a machine on which that takes long would see no others.
      const ripe = random.chance(0.1) ? awake : awake.filter(({ works, startedAt }) => works || performance.now() - startedAt > RIPE_MS);
      if (ripe.length === 0) {
        this.#refill();
        await sleep(20);
        continue;
      }
      await this.#strike(random.pick(ripe));
      if (random.chance(0.3)) await sleep(random.whole(0, 200));
      this.#refill();
      // Some in the midst of opening the database.
      if (random.chance(this.#options.server === undefined ? 0.12 : 0.05)) {
        const youngest = children.living.at(-1)!;
        await sleep(random.whole(20, 200));
        await children.kill(youngest);
        this.#refill();
      }
    }
    while (this.#disturbances.length > 0) await this.#disturbances.shift();
    await Promise.all(children.living.map((child) => children.kill(child)));
  }

  async #strike(victim: Child): Promise<void> {
    const { children, random, leaseMs, server } = this.#options;
    if (random.chance(0.07)) {
      await this.#killInPeace();
      return;
    }
    const kind = random.next();
    if (server === undefined) {
      if (kind < 0.25) this.#later(this.#freeze(victim));
      else if (kind < 0.29) await this.#killAll();
      else if (kind < 0.37) this.#leave(victim);
      else await children.kill(victim);
      return;
    }
    if (kind < 0.17) this.#later(this.#freeze(victim));
    else if (kind < 0.18) await this.#killAll();
    else if (kind < 0.27) this.#leave(victim);
    else if (kind < 0.34) this.#setClock(victim);
    else if (kind < 0.42) this.#later(this.#troubleServer(server));
    else if (kind < 0.77) {
      const { line } = victim;
      if (!(line instanceof ProxiedLine) || line.troubles > 0) return;
      const fault = random.pick(NETWORK_FAULTS);
      this.#tally(`network: ${fault}`);
      this.#later(disturb(line, fault, random.whole(leaseMs * 0.05, leaseMs * 2.5), children, random));
    } else await children.kill(victim);
  }

  /** Kills one in peace: then the others show how soon they take over. */
  async #killInPeace(): Promise<void> {
    const { children, random, leaseMs } = this.#options;
    this.#refill();
    await Promise.all(this.#disturbances);
    await sleep(RECOVERY * leaseMs + WAKE_MS);
    if (children.living.length > 1) await children.kill(random.pick(children.living));
    await sleep(2 * leaseMs + WAKE_MS);
  }

  async #killAll(): Promise<void> {
    const { children } = this.#options;
    await Promise.all(children.living.map((child) => children.kill(child)));
  }

  #leave(victim: Child): void {
    const { children, onBreach } = this.#options;
    children.leave(victim);
    this.#later((async () => {
      const inTime = await Promise.race([victim.ended, sleep(LEAVE_MS, null, { ref: false })]);
      if (inTime === null) onBreach('shuts down', `process ${victim.pid} has not within ${LEAVE_MS} ms`);
    })());
  }

  #setClock(victim: Child): void {
    this.#tally('clocks set');
    this.#options.children.setClock(victim, this.#skew());
  }

  #skew(): number {
    const { random, server } = this.#options;
    if (server === undefined || random.chance(0.3)) return 0;
    return random.whole(-MOST_SKEW_MS, MOST_SKEW_MS);
  }

  async #troubleServer(server: Server): Promise<void> {
    if (this.#serverIsDown) return;
    this.#serverIsDown = true;
    const { children, random, leaseMs } = this.#options;
    const fault = random.pick(['stopped', 'killed', 'frozen'] as const);
    this.#tally(`server: ${fault}`);
    const over = children.trouble();
    const ms = random.whole(50, leaseMs * 2);
    if (fault === 'frozen') {
      const thaw = await server.freeze();
      await sleep(ms);
      thaw();
    } else {
      await (fault === 'stopped' ? server.stop() : server.kill());
      await sleep(ms);
      await server.resume();
    }
    over();
    this.#serverIsDown = false;
  }

  /** Until the next disturbance: at random, or right when many jobs are due. */
  async #pause(): Promise<void> {
    const { random } = this.#options;
    if (random.chance(0.4)) await sleep(1_000 - (Date.now() % 1_000) + random.whole(0, random.pick([6, 20, 60])));
    else await sleep(random.whole(20, 900));
  }

  #refill(): void {
    const { children, random, width } = this.#options;
    while (children.living.length < width) {
      children.start(random.whole(0, 0x7fff_ffff), 'play', this.#skew(), random.chance(0.4) ? children.takeName() : undefined);
    }
  }

  async #freeze(child: Child): Promise<void> {
    const { children, random, leaseMs } = this.#options;
    const ms = random.whole(leaseMs * 0.7, leaseMs * 2);
    const isDoomed = random.chance(0.2);
    children.freeze(child);
    await sleep(ms);
    if (isDoomed) await children.kill(child);
    else children.thaw(child);
  }

  async #thaw(child: Child, afterMs: number): Promise<void> {
    await sleep(afterMs);
    this.#options.children.thaw(child);
  }

  #later(disturbance: Promise<void>): void {
    this.#disturbances.push(disturbance);
  }

  #tally(kind: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }
}
