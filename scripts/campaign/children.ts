/** The child processes of a round: started, frozen, killed, and never left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Orders } from './child.js';
import { EVERYBODY, type Log } from './log.js';

export interface Child {
  readonly pid: number;
  readonly node: string;
  readonly startedAt: number;
  frozen: boolean;
  /** Its scheduler has started. */
  works: boolean;
  /** It was asked to shut down. */
  leaving: boolean;
  /** Its way to the store. */
  readonly line: Line;
  readonly ended: Promise<ChildEnd>;
}

/** A way to the store that one process has at a time. */
export interface Line {
  readonly port: number;
  /** Disturbances that go on. */
  troubles: number;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export class Children {
  readonly #bundle: string;
  readonly #plan: string;
  readonly #log: Log;
  readonly #errors: number;
  readonly #living = new Map<Child, ChildProcess>();
  readonly #killed = new Set<Child>();
  readonly #lines: readonly Line[];
  #serverTroubles = 0;
  /** Names of processes that are dead, and that none has taken over. */
  readonly #names: string[] = [];
  #spawned = 0;
  /** Called for a child that ended by itself. */
  onEnd: (child: Child, end: ChildEnd) => void = () => undefined;
  /** Called for a child that made itself stand still. */
  onFrozen: (child: Child) => void = () => undefined;
  kills = 0;
  stops = 0;
  leaves = 0;
  /** Kills and stops that came in the midst of a commit. */
  strikes = 0;

  /** @param lines - one for each process at a time */
  constructor(bundle: string, plan: string, log: Log, errors: string, lines: readonly Line[]) {
    this.#lines = lines;
    this.#bundle = bundle;
    this.#plan = plan;
    this.#log = log;
    this.#errors = openSync(errors, 'a');
  }

  get spawned(): number {
    return this.#spawned;
  }

  /** Those that can be killed. */
  get living(): readonly Child[] {
    return [...this.#living.keys()].filter((child) => !this.#killed.has(child));
  }

  /** @param node - its name, where that is to be one that a process had which is dead. */
  start(seed: number, mode: Orders['mode'], skewMs = 0, node = `n${this.#spawned}`): Child {
    this.#spawned += 1;
    const line = this.#lines.find((free) => !this.living.some((child) => child.line === free));
    if (line === undefined) throw new Error('there is no way to the store left for one more process');
    const orders: Orders = { node, seed, mode, port: line.port, skewMs };
    const process_ = spawn(process.execPath, ['--enable-source-maps', this.#bundle, this.#plan, JSON.stringify(orders)], {
      stdio: ['pipe', 'pipe', this.#errors],
    });
    const { pid } = process_;
    if (pid === undefined) throw new Error('a child process cannot be started');
    process_.stdin?.on('error', () => undefined);
    const ended = new Promise<ChildEnd>((resolve) => {
      process_.on('exit', (code, signal) => {
        this.#living.delete(child);
        resolve({ code, signal });
        if (this.#killed.has(child)) return;
        if (signal === 'SIGKILL') {
          // By its own hand, in the midst of a transaction.
          this.kills += 1;
          this.strikes += 1;
          this.#names.push(node);
        } else if (child.leaving && code === 0) {
          this.#names.push(node);
        } else {
          this.onEnd(child, { code, signal });
        }
      });
    });
    const child: Child = { pid, node, startedAt: performance.now(), frozen: false, works: false, leaving: false, line, ended };
    this.#living.set(child, process_);
    if (line.troubles > 0) this.#log.write({ what: 'trouble', pid });
    process_.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('works')) child.works = true;
      if (!text.includes('frozen')) return;
      child.frozen = true;
      this.stops += 1;
      this.strikes += 1;
      this.onFrozen(child);
    });
    return child;
  }

  /** Kills it, now. Resolves when it is gone. */
  async kill(child: Child): Promise<void> {
    if (this.#killed.has(child)) return;
    const process_ = this.#living.get(child);
    if (process_ === undefined) return;
    this.#killed.add(child);
    this.#log.write({ what: 'kill', pid: child.pid });
    process_.kill('SIGKILL');
    this.kills += 1;
    await child.ended;
    this.#names.push(child.node);
  }

  /** The name of a process that is dead, for one that is to take its place. */
  takeName(): string | undefined {
    return this.#names.pop();
  }

  /** Asks it to shut down. */
  leave(child: Child): void {
    child.leaving = true;
    this.leaves += 1;
    this.#living.get(child)?.stdin?.write('leave\n');
  }

  /** Sets its wall clock. */
  setClock(child: Child, skewMs: number): void {
    this.#living.get(child)?.stdin?.write(`clock ${skewMs}\n`);
  }

  /** Writes down that the way of a process to the store is disturbed, or everybody's. Answers how to say that it is over. */
  trouble(line?: Line): () => void {
    const say = (what: 'trouble' | 'calm'): void => {
      if (line === undefined) this.#log.write({ what, pid: EVERYBODY });
      for (const child of this.#living.keys()) if (child.line === line) this.#log.write({ what, pid: child.pid });
    };
    const count = (by: number): number => (line === undefined ? (this.#serverTroubles += by) : (line.troubles += by));
    count(1);
    say('trouble');
    return () => {
      if (count(-1) === 0) say('calm');
    };
  }

  freeze(child: Child): void {
    if (this.#living.get(child)?.kill('SIGSTOP') !== true) return;
    child.frozen = true;
    this.#log.write({ what: 'stop', pid: child.pid });
    this.stops += 1;
  }

  thaw(child: Child): void {
    if (!child.frozen || this.#killed.has(child)) return;
    child.frozen = false;
    this.#log.write({ what: 'cont', pid: child.pid });
    this.#living.get(child)?.kill('SIGCONT');
  }

  /** Ends what is left, without counting it. */
  dispose(): void {
    this.onEnd = this.onFrozen = () => undefined;
    for (const process_ of this.#living.values()) process_.kill('SIGKILL');
    closeSync(this.#errors);
  }
}
