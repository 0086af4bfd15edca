import { currentRun } from 'punctual';

/** How many primes there are below `limit`. Takes its time, and leaves nobody else a turn. */
export function countPrimes(limit: number): number {
  let count = 0;
  for (let n = 2; n < limit; n++) if (isPrime(n)) count += 1;
  currentRun().logger.info(`${count} primes below ${limit}`);
  return count;
}

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}

/** A mistake. */
export function never(): void {
  for (;;);
}

/** A worse one. */
export function leave(): void {
  process.exit(7);
}
