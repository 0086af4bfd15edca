/** The scheduler's life. `paused` still finishes what runs; it claims nothing. */
export type SchedulerState = 'stopped' | 'starting' | 'running' | 'paused' | 'stopping';

const TRANSITIONS: Readonly<Record<SchedulerState, readonly SchedulerState[]>> = {
  stopped: ['starting'],
  starting: ['running', 'paused', 'stopping'],
  running: ['paused', 'stopping'],
  paused: ['running', 'stopping'],
  stopping: ['stopped'],
};

/** One state, one writer, one table. */
export class Lifecycle {
  #state: SchedulerState = 'stopped';

  get state(): SchedulerState {
    return this.#state;
  }

  canBecome(next: SchedulerState): boolean {
    return TRANSITIONS[this.#state].includes(next);
  }

  /** @throws RangeError on a move the table does not have: a bug in the caller, which asks `canBecome` first. */
  to(next: SchedulerState): void {
    if (!this.canBecome(next)) {
      throw new RangeError(
        `a scheduler that is ${this.#state} cannot become ${next}, only ${TRANSITIONS[this.#state].join(' or ')}`,
      );
    }
    this.#state = next;
  }
}
