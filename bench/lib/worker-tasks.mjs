/** @param {number} a @param {number} b */
export const add = (a, b) => a + b;

/** @param {number} ms */
export function spin(ms) {
  const end = Date.now() + ms;
  while (Date.now() < end);
}
