import type { Slot } from './slot.js';

/** What a run needs of the limits it is under, and has: a slot of each. It is given back when the run's function has ended. */
export class Permit {
  #slots: readonly Slot[];
  #hasBegun = false;

  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
  }

  /** The run starts. @param onLost - a slot is another's: what runs has to stop. Called once at most. */
  begin(onLost: () => void): void {
    this.#hasBegun = true;
    for (const slot of this.#slots) {
      slot.onLost = onLost;
      slot.owner.begin(slot);
    }
  }

  /** The function of the run has ended, or never began. */
  release(): void {
    for (const slot of this.#take()) slot.owner.release(slot, this.#hasBegun);
  }

  /** The run is no longer this node's, but its function may go on: what it took stays taken until it has run out. */
  forsake(): void {
    for (const slot of this.#slots) slot.owner.forsake(slot);
  }

  #take(): readonly Slot[] {
    const slots = this.#slots;
    this.#slots = [];
    for (const slot of slots) slot.onLost = null;
    return slots;
  }
}
