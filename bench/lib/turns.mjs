/**
 * Calls `step` for 0 … count − 1 and lets the event loop turn now and then. A timer set deep in a long synchronous loop
 * counts from the loop's beginning (Node caches the time), and would go off early.
 *
 * @param {number} count
 * @param {(i: number) => void} step
 */
export async function inTurns(count, step) {
  for (let i = 0; i < count; i++) {
    step(i);
    if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
}
