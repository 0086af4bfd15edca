import { hostname } from 'node:os';

/** This process, as other processes on its host can tell it from every other: `host:pid:nonce`. */
export interface ProcessIdentity {
  readonly id: string;
  /** From now on, until `leave`, it counts as alive for others in this process. */
  enter(): void;
  leave(): void;
  /** Whether the process behind an id is gone for certain. `false` also where that cannot be told: on another host. */
  isGone(id: string): boolean;
}

/** Identities of living schedulers of this process. */
const inUse = new Set<string>();

/** @param nonce - tells schedulers of one process apart, and processes that got the same pid one after another. */
export function processIdentity(nonce: string): ProcessIdentity {
  const host = hostname();
  const id = `${host}:${process.pid}:${nonce}`;
  return {
    id,
    enter: () => void inUse.add(id),
    leave: () => void inUse.delete(id),
    isGone: (other) => {
      const [, theirHost, pid] = /^(.*):(\d+):[^:]*$/.exec(other) ?? [];
      if (theirHost !== host) return false;
      // Under our own pid somebody lived before us, unless it is another scheduler of this process.
      return Number(pid) === process.pid ? !inUse.has(other) : !exists(Number(pid));
    },
  };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
