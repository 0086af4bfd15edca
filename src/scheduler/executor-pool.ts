import { UnsuitableTaskError } from '../errors/executor-errors.js';
import { UnknownExecutorError } from '../errors/scheduler-errors.js';
import type { Executor, ExecutorContext, ExecutorHealth } from '../ports/executor.js';
import { toErrorInfo } from './error-info.js';

/** What is known of a task here: its function, its module, or only its name; or a function without a name. */
export type TaskKind = 'function' | 'module' | 'remote' | 'bare';

/** The executors of a scheduler by alias. */
export class ExecutorPool {
  readonly #executors = new Map<string, Executor>();
  readonly #promised = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  add(alias: string, executor: Executor): void {
    this.#executors.set(alias, executor);
  }

  delete(alias: string): void {
    this.#executors.delete(alias);
  }

  get size(): number {
    return this.#executors.size;
  }

  has(alias: string): boolean {
    return this.#executors.has(alias);
  }

  /** @throws UnknownExecutorError */
  require(alias: string): Executor {
    const executor = this.#executors.get(alias);
    if (executor === undefined) throw new UnknownExecutorError(alias, this.#executors.keys());
    return executor;
  }

  /** Refuses a task that the executor could not run. @throws UnknownExecutorError, UnsuitableTaskError */
  requireFor(alias: string, task: string, kind: TaskKind): void {
    const { needsModule = false, isRemote = false } = this.require(alias);
    if (isRemote ? kind === 'bare' : kind === 'remote') throw new UnsuitableTaskError(task, alias, isRemote ? 'named' : 'here');
    if (needsModule && kind !== 'module') throw new UnsuitableTaskError(task, alias, 'module');
  }

  open(context: Omit<ExecutorContext, 'roomMade'>): void {
    for (const executor of this.#executors.values()) this.openOne(executor, context);
  }

  openOne(executor: Executor, { clock, logger }: Omit<ExecutorContext, 'roomMade'>): void {
    executor.open?.({ clock, logger, roomMade: () => { this.roomMade(); } });
  }

  /** How many more runs an executor takes; 0 for one that is not there (any more). */
  free(alias: string): number {
    return (this.#executors.get(alias)?.free ?? 0) - (this.#promised.get(alias) ?? 0);
  }

  /** Keeps room for runs whose claim is being written, so that the loop of another store does not promise it again. */
  promise(alias: string, count: number): void {
    const promised = (this.#promised.get(alias) ?? 0) + count;
    if (promised === 0) this.#promised.delete(alias);
    else this.#promised.set(alias, promised);
  }

  /** Calls back once, when a run has ended: whatever store it came from, a job of any other may start in its place. */
  onRoom(callback: () => void): void {
    this.#waiting.add(callback);
  }

  /** A run has ended, or an executor takes more than before. */
  roomMade(): void {
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const callback of waiting) callback();
  }

  /** Those that take at least one more run. */
  withRoom(): Map<string, number> {
    const room = new Map<string, number>();
    for (const alias of this.#executors.keys()) {
      const free = this.free(alias);
      if (free > 0) room.set(alias, free);
    }
    return room;
  }

  health(): Record<string, ExecutorHealth> {
    return Object.fromEntries([...this.#executors].map(([alias, executor]) => [alias, healthOf(executor)]));
  }

  entries(): IterableIterator<[string, Executor]> {
    return this.#executors.entries();
  }
}

function healthOf(executor: Executor): ExecutorHealth {
  try {
    return withJson(executor.health?.() ?? { ok: true });
  } catch (error) {
    return withJson({ ok: false, error });
  }
}

/** Health is what HTTP endpoints answer as JSON, which would leave out what an error says unless the error sees to it itself. */
function withJson(health: ExecutorHealth): ExecutorHealth {
  const { error } = health;
  if (!isError(error) || 'toJSON' in error) return health;
  const toJSON = (): unknown => {
    const { name, code, message } = toErrorInfo(error);
    return { ...health, error: { name, code, message } };
  };
  return Object.defineProperty({ ...health }, 'toJSON', { value: toJSON });
}

/** Those of other realms, too. */
function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}
