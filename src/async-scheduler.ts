import { AsyncResource } from 'node:async_hooks';
import { hostname } from 'node:os';
import { SystemClock } from './clocks/system-clock.js';
import { InvalidOptionError } from './errors/errors.js';
import { AsyncExecutor } from './executors/inline/async-executor.js';
import { loadTask } from './executors/shared/load-task.js';
import { consoleLogger } from './loggers/console-logger.js';
import type { Trigger } from './ports/trigger.js';
import { processIdentity } from './scheduler/process-identity.js';
import type { SchedulerOptions, Wiring } from './scheduler/options.js';
import { Scheduler } from './scheduler/scheduler.js';
import type { AnyTasks, TaskShapes } from './scheduler/tasks.js';
import { RecordCodec } from './serializers/record-codec.js';
import { MemoryJobStore } from './stores/memory/memory-job-store.js';
import { toInstant } from './time/instant.js';
import { CronTrigger } from './triggers/cron/cron-trigger.js';
import { DateTrigger } from './triggers/date.js';
import { EachNodeTrigger } from './triggers/each-node.js';
import { TriggerRegistry } from './triggers/registry.js';

/**
 * Runs tasks when their triggers say so: in this process, from memory, or from a store that remembers.
 *
 * @typeParam T - the tasks given as `tasks`, from which `addJob` knows names and arguments.
 * @example
 * ```ts
 * const scheduler = new AsyncScheduler({ timezone: 'Europe/Berlin' });
 * await scheduler.addJob(() => console.log('tick'), new IntervalTrigger({ seconds: 5 }));
 * await scheduler.addJob(report, '0 9 * * 1-5', { id: 'report', retry: 3 });
 * await scheduler.start();
 * ```
 */
export class AsyncScheduler<T extends TaskShapes = AnyTasks> extends Scheduler<T> {
  /** @throws InvalidOptionError, UnknownTimeZoneError, UnknownExecutorError */
  constructor(options: SchedulerOptions<T> = {}) {
    super(options, defaultWiring());
  }
}

function defaultWiring(): Wiring {
  return {
    clock: new SystemClock(),
    logger: consoleLogger,
    node: `${hostname()}:${process.pid}:${nonce()}`,
    identify: () => processIdentity(nonce()),
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    createCodec: (triggers, serializer) => new RecordCodec(triggers ?? new TriggerRegistry(), serializer),
    bindContext: (fn) => AsyncResource.bind(fn),
    createJobStore: () => new MemoryJobStore(),
    createExecutor: () => new AsyncExecutor(),
    loadTask,
    toTrigger,
    onEachNode: (trigger) => new EachNodeTrigger(trigger),
  };
}

function nonce(): string {
  return globalThis.crypto.randomUUID().slice(0, 8);
}

const ALLOWED = 'a trigger, a cron expression, or one instant as a Date';

// A cron string's zone, where its own prefix names none, is filled in with the other defaults.
function toTrigger(input: unknown): Trigger {
  if (typeof input === 'string') return new CronTrigger(input);
  if (typeof input !== 'object' || input === null) throw new InvalidOptionError('trigger', input, ALLOWED);
  if ('next' in input && 'toJSON' in input && typeof input.next === 'function') return input as Trigger;
  if (Object.prototype.toString.call(input) === '[object Date]' || 'toMillis' in input) {
    return new DateTrigger(toInstant(input, 'trigger'));
  }
  throw new InvalidOptionError('trigger', input, ALLOWED, 'Fields go into a trigger: new CronTrigger({ hour: 9 }), new IntervalTrigger({ minutes: 5 }).');
}
