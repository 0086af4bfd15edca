import type { RunMessage } from './wire.js';

/** Why a message is laid aside, where somebody can look at it: it is in a header of it. */
export type BurialReason = 'unreadable' | 'unknown-task' | 'failed' | 'crashed';

/** A message as a broker handed it out. What is said of it is lost when the connection is; then it comes again, or it is said anew. */
export interface Delivery {
  /** The run's message, as text, or what that says. */
  readonly body: unknown;
  /** How often it was handed out before without anybody saying what became of it. */
  readonly redeliveries: number;
  /** Where the broker does not count: puts it back with one more. */
  readonly recount?: (() => Promise<void>) | undefined;
  /** Where the broker also hears over a later connection what became of it: resolves when there is one, or when none is waited for any more. */
  readonly reachable?: (() => Promise<void>) | undefined;
  /** Sends an answer. @throws BrokerError with the reason `unroutable` when nobody is there any more. */
  reply(to: string, text: string): Promise<void>;
  /** It is dealt with. */
  done(): Promise<void>;
  /** Has the next attempt come after a delay. */
  again(next: RunMessage, delayMs: number): Promise<void>;
  /** For another worker, or this one, as if it had never been handed out. */
  giveBack(): Promise<void>;
  /** Lays it aside. */
  bury(reason: BurialReason, error: unknown): Promise<void>;
}
