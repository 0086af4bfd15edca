/**
 * The wall clock with fractions of a millisecond: what `Date.now()` says, which schedulers go by, but finer.
 *
 * @returns {Promise<() => number>}
 */
export async function wallClock() {
  // What disturbs a reading makes it too small, so the largest is right. A turn of the event loop first, so that loading modules is over.
  await new Promise((resolve) => setImmediate(resolve));
  let offset = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const before = Date.now();
    while (Date.now() === before);
    offset = Math.max(offset, Date.now() - performance.now());
  }
  return () => performance.now() + offset;
}
