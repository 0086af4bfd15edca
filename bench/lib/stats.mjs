/** @param {readonly number[]} values */
export function median(values) {
  return quantile(values, 0.5);
}

/**
 * @param {readonly number[]} values
 * @param {number} q 0 to 1
 */
export function quantile(values, q) {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

/**
 * The median over the rounds of `a / b`: what disturbs a round disturbs both of its figures. Where one of them was taken
 * in fewer rounds, the ratio of the medians.
 *
 * @param {readonly number[]} a
 * @param {readonly number[]} b
 */
export function ratio(a, b) {
  if (a.length !== b.length) return median(a) / median(b);
  return median(a.map((value, round) => value / (b[round] ?? Number.NaN)));
}

/**
 * A number for people: thousands separated, three digits that count.
 *
 * @param {number} value
 */
export function show(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 10 ? 1 : 2);
}
