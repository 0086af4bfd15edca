const FIRST_MS = 100;
const LONGEST_MS = 10_000;

/** How long to wait after so many failures in a row: twice as long each time, up to 10 s, and never the same for two nodes. */
export function backOffMs(failures: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20));
  return Math.round(full * (0.5 + 0.5 * Math.random()));
}
