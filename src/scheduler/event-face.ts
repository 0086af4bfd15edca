import type { EventHub, EventStreamOptions } from '../events/event-hub.js';
import type { EventOf, SchedulerEvent, SchedulerEventType } from '../events/events.js';
import { EVENT_ALL, EVENT_MASKS } from '../events/masks.js';
import { InvalidOptionError } from '../errors/errors.js';
import { closest, refuseUnknownKeys } from '../errors/options.js';
import { whole } from './policy.js';

/** How callers hear of what happens. */
export abstract class EventFace {
  /** @internal */
  protected abstract readonly hub: EventHub;

  on<E extends SchedulerEventType>(type: E, listener: (event: EventOf<E>) => void): this {
    checkListener(type, listener);
    this.hub.on(type, listener);
    return this;
  }

  once<E extends SchedulerEventType>(type: E, listener: (event: EventOf<E>) => void): this {
    checkListener(type, listener);
    this.hub.once(type, listener);
    return this;
  }

  off<E extends SchedulerEventType>(type: E, listener: (event: EventOf<E>) => void): this {
    checkListener(type, listener);
    this.hub.off(type, listener);
    return this;
  }

  /** Calls back for every event whose bit is in `mask` (`EVENT_JOB_ERROR | EVENT_JOB_MISSED`). Default: all. */
  addListener(callback: (event: SchedulerEvent) => unknown, mask: number = EVENT_ALL): this {
    requireFunction(callback, 'callback');
    this.hub.addListener(callback, whole(mask, 'mask', 1, EVENT_ALL));
    return this;
  }

  removeListener(callback: (event: SchedulerEvent) => unknown): this {
    this.hub.removeListener(callback);
    return this;
  }

  /** Events as they come, until the scheduler is shut down, the signal fires, or the loop over them is left. */
  events<E extends SchedulerEventType = SchedulerEventType>(options: EventStreamOptions<E> = {}): AsyncIterableIterator<EventOf<E>> {
    refuseUnknownKeys(options, '', ['types', 'signal', 'limit']);
    checkStream(options);
    return this.hub.stream(options);
  }
}

const TYPES = Object.keys(EVENT_MASKS) as SchedulerEventType[];

function checkListener(type: unknown, listener: unknown): void {
  checkType(type, 'type');
  requireFunction(listener, 'listener');
}

/** A misspelt name would never be heard, and never be missed. */
function checkType(type: unknown, option: string): void {
  if (TYPES.includes(type as SchedulerEventType)) return;
  const meant = typeof type === 'string' ? closest(type, TYPES) : undefined;
  throw new InvalidOptionError(option, type, `one of the events ${TYPES.join(', ')}`, meant === undefined ? undefined : `Did you mean '${meant}'?`);
}

function requireFunction(value: unknown, option: string): void {
  if (typeof value !== 'function') throw new InvalidOptionError(option, value, 'a function');
}

function checkStream({ types, signal, limit }: EventStreamOptions): void {
  if (limit !== undefined) whole(limit, 'limit', 1);
  if (types !== undefined && !Array.isArray(types)) throw new InvalidOptionError('types', types, 'an array of event names');
  for (const type of types ?? []) checkType(type, 'types');
  if (signal !== undefined && typeof signal.addEventListener !== 'function') throw new InvalidOptionError('signal', signal, 'an AbortSignal');
}
