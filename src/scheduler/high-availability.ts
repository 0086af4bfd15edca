import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { toMs, type DurationInput } from '../time/duration.js';

/** How several schedulers on one job store divide the work. */
export interface HighAvailabilityOptions {
  /**
   * `'shared'` (the default): every node takes on what is due. `'leader'`: in each shared store one node does, chosen by a lease in that
   * store, and the others stand by to take over. All nodes of a store should say the same.
   */
  readonly mode?: 'shared' | 'leader' | undefined;
  /** Schedulers that choose one leader among them, when others with other tasks use the same store. Default `'default'`. */
  readonly group?: string | undefined;
  /** How long a leader that died is waited for. Default: the `leaseDuration` of the scheduler. Least 1 s. */
  readonly leaseDuration?: DurationInput | undefined;
}

export type HighAvailability = { readonly mode: 'shared' } | { readonly mode: 'leader'; readonly group: string; readonly leaseMs: number };

const LONGEST_GROUP = 100;

/** @throws InvalidOptionError */
export function resolveHighAvailability(options: HighAvailabilityOptions = {}, leaseMs: number): HighAvailability {
  if (typeof options === 'string') throw new InvalidOptionError('ha', options, "an object, such as { mode: 'leader' }");
  refuseUnknownKeys(options, 'ha', ['mode', 'group', 'leaseDuration']);
  const { mode = 'shared', group = 'default', leaseDuration } = options;
  if (typeof group !== 'string' || group === '' || group.length > LONGEST_GROUP) {
    throw new InvalidOptionError('ha.group', group, `a string of 1 to ${LONGEST_GROUP} characters`);
  }
  const ownLeaseMs = leaseDuration === undefined ? leaseMs : toMs(leaseDuration, 'ha.leaseDuration', 1_000);
  if (mode === 'leader') return { mode, group, leaseMs: ownLeaseMs };
  if (mode === 'shared') return { mode };
  throw new InvalidOptionError('ha.mode', mode, "'shared' or 'leader'");
}
