import { constants } from 'node:os';
import { InvalidOptionError } from '../errors/errors.js';
import type { Clock } from '../ports/clock.js';
import { isArray } from './policy.js';

/** Ctrl-C reaches the whole group of processes, and runners such as npm pass it on once more: both are one signal. */
const SAME_SIGNAL_MS = 500;

const DEFAULT_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];
/** Nobody can listen for these. */
const DEAF: readonly string[] = ['SIGKILL', 'SIGSTOP'];

/** @throws InvalidOptionError */
export function resolveSignals(given: unknown): readonly NodeJS.Signals[] {
  if (given === undefined || given === false) return [];
  if (given === true) return DEFAULT_SIGNALS;
  const isSignal = (name: unknown): name is NodeJS.Signals => typeof name === 'string' && name in constants.signals && !DEAF.includes(name);
  if (isArray(given) && given.length > 0 && given.every(isSignal)) return [...new Set(given)];
  throw new InvalidOptionError('signals', given, "true for SIGTERM and SIGINT, false, or names of signals such as ['SIGTERM', 'SIGUSR2']");
}

/**
 * Turns signals of the operating system into a shutdown. When it is over, the process ends by the signal it was sent, so
 * that whoever started it sees the usual exit status; if somebody else listens for that signal, the end is up to them.
 */
export class SignalWatch {
  readonly #names: readonly NodeJS.Signals[];
  readonly #clock: Clock;
  readonly #shutdown: (force: boolean) => Promise<void>;
  #first: { readonly name: NodeJS.Signals; readonly at: number } | undefined;
  #isOpen = false;

  constructor(names: readonly NodeJS.Signals[], clock: Clock, shutdown: (force: boolean) => Promise<void>) {
    this.#names = names;
    this.#clock = clock;
    this.#shutdown = shutdown;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#first = undefined;
    for (const name of this.#names) process.on(name, this.#heard);
  }

  /** The scheduler has stopped. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const name of this.#names) process.off(name, this.#heard);
    const name = this.#first?.name;
    if (name !== undefined && process.listenerCount(name) === 0) process.kill(process.pid, name);
  }

  readonly #heard = (name: NodeJS.Signals): void => {
    const now = this.#clock.monotonic();
    if (this.#first === undefined) {
      this.#first = { name, at: now };
      void this.#shutdown(false);
    } else if (now - this.#first.at >= SAME_SIGNAL_MS) {
      void this.#shutdown(true);
    }
  };
}
