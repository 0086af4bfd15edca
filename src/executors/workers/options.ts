import { availableParallelism } from 'node:os';
import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { toMs, type DurationInput } from '../../time/duration.js';

/** Options of the executors whose tasks run in workers: threads or child processes. Each executes one run at a time. */
export interface WorkerOptions {
  /**
   * Workers at most, and so runs at one time. Default: one less than the processor has cores for, and at least one, since
   * the scheduler's own thread wants some time as well.
   */
  readonly maxWorkers?: number | undefined;
  /** Workers that are started with the scheduler, and kept however long they have nothing to do. Default 0. */
  readonly minWorkers?: number | undefined;
  /** How long the others are kept when they have nothing to do. Default one minute. */
  readonly idleTimeout?: DurationInput | undefined;
  /**
   * How long a task has to come to its end once its signal has fired; then its worker is ended with it. Default 5 s. In a
   * shutdown it is less than a second, so that no run goes on which others may take over.
   */
  readonly killAfter?: DurationInput | undefined;
  /** Runs after which a worker gives way to a new one. 1: nothing a run leaves behind meets another. Default: no limit. */
  readonly runsPerWorker?: number | undefined;
  /** Heap of a worker, in MB. A run that needs more fails with a `WorkerCrashedError`. Default: that of Node. */
  readonly memoryLimitMb?: number | undefined;
  /** Environment of the workers. Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Flags of Node for the workers, such as `['--import', 'tsx']`. Default: those of this process. */
  readonly execArgv?: readonly string[] | undefined;
}

export interface PoolLimits {
  readonly max: number;
  readonly min: number;
  readonly idleMs: number;
  readonly killMs: number;
  readonly runsPerWorker: number;
}

const OPTIONS: readonly (keyof WorkerOptions)[] = [
  'maxWorkers',
  'minWorkers',
  'idleTimeout',
  'killAfter',
  'runsPerWorker',
  'memoryLimitMb',
  'env',
  'execArgv',
];

/** @throws InvalidOptionError */
export function poolLimits(options: WorkerOptions): PoolLimits {
  refuseUnknownKeys(options, '', OPTIONS);
  const { maxWorkers = Math.max(1, availableParallelism() - 1), minWorkers = 0, runsPerWorker = Number.POSITIVE_INFINITY } = options;
  const { memoryLimitMb, env, execArgv } = options;
  whole(maxWorkers, 'maxWorkers', 1);
  whole(minWorkers, 'minWorkers', 0);
  if (minWorkers > maxWorkers) throw new InvalidOptionError('minWorkers', minWorkers, `a whole number up to \`maxWorkers\`, which is ${maxWorkers}`);
  if (runsPerWorker !== Number.POSITIVE_INFINITY) whole(runsPerWorker, 'runsPerWorker', 1);
  if (memoryLimitMb !== undefined) whole(memoryLimitMb, 'memoryLimitMb', 1);
  if (env !== undefined && (typeof env !== 'object' || env === null)) throw new InvalidOptionError('env', env, 'an object of environment variables');
  if (execArgv !== undefined && !(Array.isArray(execArgv) && execArgv.every((flag) => typeof flag === 'string'))) {
    throw new InvalidOptionError('execArgv', execArgv, 'an array of flags');
  }
  return {
    max: maxWorkers,
    min: minWorkers,
    idleMs: toMs(options.idleTimeout ?? 60_000, 'idleTimeout'),
    killMs: toMs(options.killAfter ?? 5_000, 'killAfter'),
    runsPerWorker,
  };
}

function whole(value: number, option: string, least: number): void {
  if (!(Number.isInteger(value) && value >= least)) throw new InvalidOptionError(option, value, `a whole number of ${least} or more`);
}
