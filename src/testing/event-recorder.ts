import type { EventOf, SchedulerEvent, SchedulerEventType } from '../events/events.js';
import { EVENT_ALL } from '../events/masks.js';
import type { EventFace } from '../scheduler/event-face.js';

/** Fields that every event has, or that change from run to run, and say nothing in a test. */
const LEFT_OUT: ReadonlySet<string> = new Set(['type', 'at', 'node', 'jobId', 'runId', 'jobStore', 'task', 'tags', 'cause', 'isManual', 'isCatchUp', 'durationMs', 'exact']);
/** Fields that hold an instant. */
const INSTANTS: ReadonlySet<string> = new Set(['scheduledFor', 'scheduledTo', 'nextRunTime', 'retryAt', 'into']);

/**
 * Collects the events of a scheduler, and writes them as lines that can be compared.
 *
 * @example
 * ```ts
 * const events = new EventRecorder(scheduler);
 * await clock.advance({ hours: 2 });
 * expect(events.of('jobError')).toHaveLength(1);
 * expect(events.toString()).toMatchInlineSnapshot();
 * // 2026-01-01T01:00:00.000Z jobStarted report scheduledFor=2026-01-01T01:00:00.000Z attempt=1
 * ```
 */
export class EventRecorder {
  readonly #events: SchedulerEvent[] = [];
  readonly #stop: () => void;

  /** @param mask - which events, as for `addListener`. Default: all. */
  constructor(scheduler: EventFace, mask: number = EVENT_ALL) {
    const listener = (event: SchedulerEvent): void => {
      this.#events.push(event);
    };
    scheduler.addListener(listener, mask);
    this.#stop = () => {
      scheduler.removeListener(listener);
    };
  }

  /** Everything so far, in order. */
  get events(): readonly SchedulerEvent[] {
    return this.#events;
  }

  /** The types of everything so far, in order. */
  get types(): SchedulerEventType[] {
    return this.#events.map(({ type }) => type);
  }

  /** The events of one type. */
  of<T extends SchedulerEventType>(type: T): EventOf<T>[] {
    return this.#events.filter((event): event is EventOf<T> => event.type === type);
  }

  /** Forgets what it has. */
  clear(): void {
    this.#events.length = 0;
  }

  /** Listens no more. */
  stop(): void {
    this.#stop();
  }

  /** One line per event: when, what, which job, and the facts. */
  toString(): string {
    return this.#events.map(lineOf).join('\n');
  }
}

function lineOf(event: SchedulerEvent): string {
  const facts = Object.entries(event).flatMap(([key, value]: [string, unknown]) =>
    LEFT_OUT.has(key) || value === undefined || value === null ? [] : [`${key}=${show(key, value)}`],
  );
  const job = 'jobId' in event ? [event.jobId] : [];
  return [new Date(event.at).toISOString(), event.type, ...job, ...facts].join(' ');
}

function show(key: string, value: unknown): string {
  if (INSTANTS.has(key) && typeof value === 'number') return new Date(value).toISOString();
  if (key === 'error') return JSON.stringify((value as { readonly message: string }).message);
  return JSON.stringify(value);
}
