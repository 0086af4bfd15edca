import { InvalidOptionError } from './errors.js';

/** @throws InvalidOptionError unless it is an object of options. */
export function requireObject(value: unknown, option: string): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  const hint = Array.isArray(value) ? 'Arguments of a task go into the options: { args: [...] }.' : undefined;
  throw new InvalidOptionError(option, value, 'an object', hint);
}

/** By option that is not there: where to find what was meant. */
export type Hints = Readonly<Record<string, string>>;

/**
 * @param hint - what to write instead, of all keys or by key.
 * @param noun - what the keys are called.
 * @throws InvalidOptionError naming the first key that is none of `allowed`, and the one that was probably meant.
 */
export function refuseUnknownKeys(options: unknown, path: string, allowed: readonly string[], hint?: string | Hints, noun = 'option'): void {
  requireObject(options, path === '' ? 'options' : path);
  for (const key of Object.keys(options)) {
    if (allowed.includes(key)) continue;
    const option = path === '' ? key : `${path}.${key}`;
    const help = typeof hint === 'object' ? (Object.hasOwn(hint, key) ? hint[key] : undefined) : hint;
    const meant = help === undefined ? closest(key, allowed) : undefined;
    const advice = meant === undefined ? '.' : `; did you mean \`${meant}\`?`;
    const expected = `one of the ${noun}s ${allowed.join(', ')}`;
    const message = `There is no ${noun} \`${option}\`${advice} Expected ${expected}.`;
    throw new InvalidOptionError(option, (options as Record<string, unknown>)[key], expected, help, message);
  }
}

/** What names are called elsewhere: where several may be meant, the first that there is. */
const ALIASES: Readonly<Record<string, string>> = {
  url: 'connectionString servers connection',
  uri: 'connectionString servers connection url',
  connectionstring: 'url servers connection',
  maxretries: 'retry maxAttempts',
  retries: 'retry maxAttempts',
  attempts: 'retry maxAttempts',
  jobfailed: 'jobError',
  failed: 'jobError',
  error: 'jobError',
  dow: 'dayOfWeek',
  weekday: 'dayOfWeek',
  dom: 'day',
  tz: 'timezone',
  zone: 'timezone',
  ms: 'milliseconds',
  sec: 'seconds',
  min: 'minutes',
};

/** The name nearest to `key`, if a third of the letters or fewer are to add, drop, replace or swap (Damerau), whatever the case. */
export function closest(key: string, names: readonly string[]): string | undefined {
  const lower = key.toLowerCase();
  const alias = Object.hasOwn(ALIASES, lower) ? ALIASES[lower]?.split(' ').find((name) => names.includes(name)) : undefined;
  if (alias !== undefined) return alias;
  let best: string | undefined;
  let least = Math.floor(Math.max(key.length, 3) / 3) + 1;
  for (const name of names) {
    const distance = editDistance(lower, name.toLowerCase(), least);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

function editDistance(a: string, b: string, limit: number): number {
  if (a.length > 40 || Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : replace;
      next.push(Math.min(replace, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? limit;
}
