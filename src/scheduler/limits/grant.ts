import type { MaybePromise } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { isThenable } from '../../time/thenable.js';
import type { Meter } from './meter.js';
import { Permit } from './permit.js';
import type { Slot } from './slot.js';

/** What the limits of a job leave it. */
export interface Grant {
  /** One for each run that may start. */
  permits: Permit[];
  /** The limit for which there are not more of them, and until when the rest is put off. */
  lacking: Meter | null;
  holdUntil: EpochMs | undefined;
}

/** A job that has something to start. */
export interface Ask {
  readonly meters: readonly Meter[];
  readonly wanted: number;
  readonly grant: Grant;
}

/** An ask with what was taken for it so far: the slots of each run. */
interface Open {
  readonly ask: Ask;
  runs: Slot[][];
}

/**
 * Takes slots of all limits that are concerned and gives them to the asks, the first ones first. A run gets all it needs or
 * nothing. The limit that seems to have the least is asked first, so that little is taken in vain.
 *
 * @param expectedAt - when a limit is expected to have room for one, `position` others being before it.
 * @throws what the store throws; nothing is taken then.
 */
export function distribute(asks: readonly Ask[], expectedAt: (meter: Meter, position: number) => EpochMs): MaybePromise<void> {
  const open = asks.map((ask): Open => ({ ask, runs: Array.from({ length: ask.wanted }, () => []) }));
  const demand = new Map<Meter, number>();
  for (const { meters, wanted } of asks) for (const meter of meters) demand.set(meter, (demand.get(meter) ?? 0) + wanted);
  const spare = new Map([...demand].map(([meter, wanted]) => [meter, meter.room(wanted) - wanted]));
  const order = [...demand.keys()].sort((a, b) => spare.get(a)! - spare.get(b)!);
  const finish = (): void => {
    for (const { ask, runs } of open) ask.grant.permits = runs.map((slots) => new Permit(slots));
  };
  const undo = (error: unknown): never => {
    for (const { runs } of open) for (const slots of runs) giveBack(slots);
    throw error;
  };
  const next = (at: number): MaybePromise<void> => {
    const meter = order[at];
    if (meter === undefined) {
      finish();
      return undefined;
    }
    let wanted = 0;
    for (const { ask, runs } of open) if (ask.meters.includes(meter)) wanted += runs.length;
    const taken = (slots: readonly Slot[]): MaybePromise<void> => {
      deal(open, meter, [...slots], expectedAt);
      return next(at + 1);
    };
    const taking = wanted === 0 ? [] : meter.take(wanted);
    return isThenable(taking) ? Promise.resolve(taking).then(taken) : taken(taking);
  };
  try {
    const answer = next(0);
    return isThenable(answer) ? Promise.resolve(answer).catch(undo) : answer;
  } catch (error) {
    return undo(error);
  }
}

function deal(open: readonly Open[], meter: Meter, slots: Slot[], expectedAt: (meter: Meter, position: number) => EpochMs): void {
  let position = 0;
  for (const one of open) {
    const { ask, runs } = one;
    if (!ask.meters.includes(meter)) continue;
    const enough = Math.min(runs.length, slots.length);
    for (let i = 0; i < enough; i++) runs[i]!.push(slots.shift()!);
    if (enough === runs.length) continue;
    for (const short of runs.slice(enough)) giveBack(short);
    one.runs = runs.slice(0, enough);
    ask.grant.lacking = meter;
    ask.grant.holdUntil = Math.max(ask.grant.holdUntil ?? 0, expectedAt(meter, position));
    position += 1;
  }
  giveBack(slots);
}

function giveBack(slots: readonly Slot[]): void {
  for (const slot of slots) slot.owner.release(slot, false);
}
