import type { EventHub, EventStreamOptions } from '../events/event-hub.js';
import type { EventOf, SchedulerEvent, SchedulerEventType } from '../events/events.js';
import { EVENT_ALL } from '../events/masks.js';
import { refuseUnknownKeys, whole } from './policy.js';

/** How callers hear of what happens. */
export abstract class EventFace {
  /** @internal */
  protected abstract readonly hub: EventHub;

  on<E extends SchedulerEventType>(type: E, listener: (event: EventOf<E>) => void): this {
    this.hub.on(type, listener);
    return this;
  }

  once<E extends SchedulerEventType>(type: E, listener: (event: EventOf<E>) => void): this {
    this.hub.once(type, listener);
    return this;
  }

  off<E extends SchedulerEventType>(type: E, listener: (event: EventOf<E>) => void): this {
    this.hub.off(type, listener);
    return this;
  }

  /** Calls back for every event whose bit is in `mask` (`EVENT_JOB_ERROR | EVENT_JOB_MISSED`). Default: all. */
  addListener(callback: (event: SchedulerEvent) => void, mask: number = EVENT_ALL): this {
    this.hub.addListener(callback, whole(mask, 'mask', 1, EVENT_ALL));
    return this;
  }

  removeListener(callback: (event: SchedulerEvent) => void): this {
    this.hub.removeListener(callback);
    return this;
  }

  /** Events as they come, until the scheduler is shut down, the signal fires, or the loop over them is left. */
  events<E extends SchedulerEventType = SchedulerEventType>(options: EventStreamOptions<E> = {}): AsyncIterableIterator<EventOf<E>> {
    refuseUnknownKeys(options, '', ['types', 'signal', 'limit']);
    return this.hub.stream(options);
  }
}
