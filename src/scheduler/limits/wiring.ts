import type { LoopDeps } from '../loop-deps.js';
import type { StoreLoop } from '../store-loop.js';
import { Admission } from './admission.js';
import { StoreLimits } from './store-limits.js';

/** The limits of a loop's store. Where nobody else uses it, and it ends with this process, nobody needs to be asked. */
export function limitsOf(loop: StoreLoop, { limits: rules, clock, node, process, leaseMs }: LoopDeps): StoreLimits {
  const port = loop.access.leased ? loop.access : null;
  return new StoreLimits({ rules, port, clock, node, process, leaseMs, now: () => loop.now() });
}

export function admissionOf(loop: StoreLoop, { reporter }: LoopDeps): Admission {
  return new Admission({
    limits: loop.limits,
    now: () => loop.now(),
    wake: () => { loop.wake(); },
    reached: ({ subject, name, kind }, freeAt) => {
      if (reporter.wants('limitReached')) reporter.scheduler({ type: 'limitReached', jobStore: loop.access.alias, subject, name, kind, freeAt });
    },
  });
}
