/** Starts under a rate, by what the tasks wrote down. */
import type { SimLimit } from '../../src/testing/simulation/features.js';
import { isWithin, type Attempt, type History } from './attempts.js';
import { textOf, type Breach } from './audit-log.js';
import { EVERYBODY } from './log.js';

/** Fraction of a lease for which a start may be on its way from the question for its slot, where answers are not late. */
const ON_ITS_WAY = 0.3;

/**
 * More starts than a rate allows, within its time. That counts from the question for a slot, by the clock of the store as the
 * node knows it, to a start that was not held up after the question. So each first start is taken as of its node's own time,
 * less what the question may have taken, and none counts whose process was slow, stood still or was disturbed right before.
 */
export function tooManyStarts(history: History, { subject, name, options }: SimLimit, attempts: readonly Attempt[], wallOffset: number): Breach[] {
  if (options.rateLimit === undefined) return [];
  const { max } = options.rateLimit;
  const per = Number(options.rateLimit.per) - ON_ITS_WAY * history.leaseMs;
  const starts = attempts.filter((attempt) => wasPrompt(history, attempt));
  starts.sort((a, b) => a.startedAt - b.startedAt);
  const breaches: Breach[] = [];
  for (const [index, last] of starts.entries()) {
    const within = starts.slice(Math.max(0, index - 10 * max), index + 1).filter((start) => start.startedAt > last.startedAt - per && Math.min(start.startedAt, start.nodeTime - wallOffset) > last.startedAt - per);
    if (within.length > max) breaches.push({ check: `rate of ${subject} ${name}`, what: `${within.length} starts within ${per} ms, ${max} allowed: ${within.map(textOf).join('; ')}` });
  }
  return breaches;
}

function wasPrompt({ stalls, gaps, waits, troubles, leaseMs }: History, { pid, startedAt }: Attempt): boolean {
  const before = { from: startedAt - leaseMs, to: startedAt };
  return ![stalls.get(pid), gaps.get(pid), waits.get(pid), waits.get(EVERYBODY), troubles.get(pid), troubles.get(EVERYBODY)].some((own) => isWithin(before, own));
}
