import type { Clock } from '../ports/clock.js';
import type { EpochMs } from '../ports/trigger.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { Logger } from '../ports/logger.js';
import type { BindContext } from './active-run.js';
import type { ClockWatch } from './clock-watch.js';
import type { ExecutorPool } from './executor-pool.js';
import type { HighAvailability } from './high-availability.js';
import type { LagWatch } from './lag-watch.js';
import type { LimitRules } from './limits/limit-rules.js';
import type { StoreLimits } from './limits/store-limits.js';
import type { ClockSkew, NodeCard } from './node-card.js';
import type { ProcessIdentity } from './process-identity.js';
import type { OnError } from './on-error.js';
import type { Reporter } from './reporter.js';
import type { RunSettled } from './run-handles.js';
import type { StoreLoop } from './store-loop.js';
import type { TaskRegistry } from './tasks.js';

/** What every loop of a scheduler shares. */
export interface LoopDeps {
  readonly clock: Clock;
  readonly clockWatch: ClockWatch;
  readonly logger: Logger;
  readonly reporter: Reporter;
  readonly tasks: TaskRegistry;
  readonly executors: ExecutorPool;
  readonly node: string;
  /** The process behind the node's name, where it was given one that its next process has too. */
  readonly process: ProcessIdentity | undefined;
  readonly leaseMs: number;
  readonly ha: HighAvailability;
  readonly batchSize: number;
  readonly codec: JobCodec;
  /** Longest return value kept, in characters of its serialized form. */
  readonly maxResultSize: number;
  readonly maxSleepMs: number;
  readonly keepAlive: boolean;
  readonly settled: RunSettled;
  /** Something will be due, and this loop claims nothing. */
  readonly unstarted: (at: EpochMs) => void;
  /** Told of every failed attempt of this node. */
  readonly onError: OnError | null;
  readonly lag: LagWatch;
  /** How often a node tells the others that it is there. */
  readonly heartbeatMs: number;
  readonly describe: (skew: ClockSkew | null) => Omit<NodeCard, 'role'>;
  readonly bindContext: BindContext;
  readonly limits: LimitRules;
  /** Those of the shared store, where the loop is for the jobs that each node runs: they count with all others. */
  readonly sharedLimits: StoreLimits | undefined;
  /** A loop for the jobs that each node runs, in a store of this node's; `undefined` for such a loop. */
  readonly nodeLoop: ((shared: StoreLoop) => StoreLoop) | undefined;
}
