/**
 * A number of jobs, or a part of it: `PUNCTUAL_SIZE=0.05` tries whether a measurement works at all. Its figures mean nothing.
 *
 * @param {number} jobs
 */
export function sized(jobs) {
  return Math.max(10, Math.round(jobs * Number(process.env['PUNCTUAL_SIZE'] ?? 1)));
}
