import type { EpochMs } from '../../ports/trigger.js';
import type { LeasePort } from './lease-port.js';
import type { SlotKeeper } from './slot-keeper.js';

/** What is limited: runs at one time, or starts in a stretch of time. */
export type LimitKind = 'concurrency' | 'rate';

/** What the meters of one job store share. */
export interface MeterHost {
  /** `null` where nobody else uses the store: then what this node knows is all there is to know. */
  readonly port: LeasePort | null;
  readonly keeper: SlotKeeper | null;
  /** The store's time. */
  now(): EpochMs;
  monotonic(): number;
  /** Ends with the time it is for. */
  newHolder(ttlMs: number): string;
  /** Whether the process of a holder is gone for certain. */
  isDead(holder: string): boolean;
  /** From 0 to 1. The same on each run of a test. */
  chance(): number;
  /** A slot is free again. */
  roomMade(): void;
  /** To be waited for before the store is closed. */
  track(work: Promise<unknown>): void;
}

/** How long a slot that another node has is left alone: it ends when the other's run does, and nobody tells. */
export const RECHECK_MS = 1_000;

/** A factor near 1, so that nodes which wait for one thing do not ask for it at the same moment. */
export function jitter(host: MeterHost): number {
  return 0.85 + host.chance() * 0.3;
}
