import type { EventHub } from '../events/event-hub.js';
import type { EventOf, JobChangeEvent, SchedulerEvent, SchedulerEventType, SchedulerLifecycleEvent } from '../events/events.js';
import type { JobRecord } from '../model/job.js';
import type { JobNotice } from '../model/notice.js';
import type { RunRecord } from '../model/run.js';
import type { Clock } from '../ports/clock.js';
import type { LogFields, Logger } from '../ports/logger.js';
import { childLogger, isLoggedUnheard, logUnheard } from './logging.js';

type Stamped = 'at' | 'node';
type JobStamped = Stamped | 'jobId' | 'jobStore' | 'task' | 'tags';
type RunStamped = JobStamped | 'runId' | 'scheduledFor' | 'attempt' | 'isManual' | 'isCatchUp';
type WithoutStamp<E, K extends string> = E extends unknown ? Omit<E, K> : never;
type RunEventType = 'jobSubmitted' | 'jobStarted' | 'jobExecuted' | 'jobError' | 'jobTimeout' | 'leaseLost';

/** Stamps and publishes events; writes to the log those that matter and that nobody listens for. */
export class Reporter {
  readonly node: string;
  readonly hub: EventHub;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(node: string, hub: EventHub, clock: Clock, logger: Logger) {
    this.node = node;
    this.hub = hub;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Whether an event of this type goes anywhere. */
  wants(type: SchedulerEventType): boolean {
    return this.hub.has(type) || isLoggedUnheard(type);
  }

  scheduler(event: WithoutStamp<SchedulerLifecycleEvent, Stamped>): void {
    this.#publish({ at: this.#clock.now(), node: this.node, ...event });
  }

  job(record: JobRecord, jobStore: string, event: WithoutStamp<JobChangeEvent, JobStamped> | JobNotice): void {
    if (!this.wants(event.type)) return;
    const { task, tags } = record.definition;
    this.#publish({ at: this.#clock.now(), node: this.node, jobId: record.id, jobStore, task, tags, ...event });
  }

  /** Writes what an operator should know, and what is no event. */
  warn(message: string, fields: LogFields): void {
    childLogger(this.#logger, fields).warn(message);
  }

  run<T extends RunEventType>(
    record: JobRecord,
    jobStore: string,
    run: RunRecord,
    type: T,
    facts: Omit<EventOf<T>, RunStamped | 'type'>,
  ): void {
    if (!this.wants(type)) return;
    const { task, tags } = record.definition;
    this.#publish({
      type,
      at: this.#clock.now(),
      node: this.node,
      jobId: record.id,
      jobStore,
      task,
      tags,
      runId: run.id,
      scheduledFor: run.scheduledFor,
      attempt: run.attempt,
      isManual: run.manual,
      isCatchUp: run.catchUp,
      ...facts,
    } as unknown as SchedulerEvent);
  }

  #publish(event: SchedulerEvent): void {
    // Before it is told: a listener for one time is gone once it has heard.
    const isHeard = this.hub.hears(event.type);
    if (this.hub.has(event.type)) this.hub.emit(event);
    if (!isHeard) logUnheard(this.#logger, event);
  }
}
