/** The child processes of a round: started, frozen, killed, and never left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Log } from './log.js';

export interface Child {
  readonly pid: number;
  readonly node: string;
  readonly startedAt: number;
  /** It has added the jobs, or found them. */
  ready: boolean;
  frozen: boolean;
  readonly ended: Promise<ChildEnd>;
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
  /** Names of processes that are dead, and that none has taken over. */
  readonly #names: string[] = [];
  #spawned = 0;
  /** Called for a child that ended by itself. */
  onEnd: (child: Child, end: ChildEnd) => void = () => undefined;
  /** Called for a child that made itself stand still. */
  onFrozen: (child: Child) => void = () => undefined;
  kills = 0;
  stops = 0;
  /** Those of them that came in the midst of a transaction. */
  strikes = 0;

  constructor(bundle: string, plan: string, log: Log, errors: string) {
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
  start(seed: number, mode: 'play' | 'settle', node = `n${this.#spawned}`): Child {
    this.#spawned += 1;
    const process_ = spawn(process.execPath, ['--enable-source-maps', this.#bundle, this.#plan, node, String(seed), mode], {
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
        } else {
          this.onEnd(child, { code, signal });
        }
      });
    });
    const child: Child = { pid, node, startedAt: performance.now(), ready: false, frozen: false, ended };
    this.#living.set(child, process_);
    process_.stdout?.setEncoding('utf8').on('data', (text: string) => {
      child.ready ||= text.includes('ready');
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
