/**
 * Time to prepare a sample, in ms, after which its jobs come due: more where an earlier try did not suffice.
 *
 * @param {number} ms
 */
export function lead(ms) {
  return ms * Number(process.argv[4] ?? 1);
}
