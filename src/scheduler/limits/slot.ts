import type { Lease } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';

/** What clocks may differ by without anything being wrong. */
export const SKEW_MS = 1_000;

/** Whether a lease ends so late that it was taken while the clock was ahead. Its holder says for how long it was taken. */
export function isStray({ holder, expiresAt }: Lease, now: EpochMs): boolean {
  return expiresAt > now + ttlOf(holder) + SKEW_MS;
}

/** Who has a slot: the node, its process, which slot of it, and for how long. */
export function holderOf(node: string, process: string, count: string, ttlMs: number): string {
  return `${node} ${process} ${count} ${ttlMs}`;
}

export function processOf(holder: string): string {
  return holder.split(' ').at(-3) ?? '';
}

export function ttlOf(holder: string): number {
  const ttlMs = Number(holder.slice(holder.lastIndexOf(' ') + 1));
  return Number.isFinite(ttlMs) ? ttlMs : Number.POSITIVE_INFINITY;
}

/** Who hands out slots and takes them back. */
export interface SlotOwner {
  /** It was not needed, or what it was needed for has ended. `used`: something ran in it. */
  release(slot: Slot, used: boolean): void;
  /** What it was taken for begins now. */
  begin(slot: Slot): void;
  /** Nobody looks after it any more: it runs out by itself. */
  forsake(slot: Slot): void;
  /** The store has given it to another. */
  lost(slot: Slot): void;
}

/** One of the leases that a limit consists of, as this node has it. */
export interface Slot {
  readonly owner: SlotOwner;
  readonly index: number;
  readonly key: string;
  /** Of no other slot, ever: what is released late must not be somebody else's by then. */
  holder: string;
  /** Monotonic. From when its time counts. */
  readonly askedAt: number;
  readonly ttlMs: number;
  expiresAt: EpochMs;
  /** Monotonic. Past it another may have it, even if the store cannot be asked. */
  trustedUntil: number;
  /** `held`: looked after. `forsaken`: it runs out, unless what it was taken for ends before. `gone`: given back, or lost. */
  state: 'held' | 'forsaken' | 'gone';
  onLost: (() => void) | null;
}
