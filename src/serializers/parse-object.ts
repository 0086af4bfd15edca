import type { JsonObject } from '../ports/job-codec.js';

/** What is no object (somebody wrote to the table by hand) goes to the codec all the same: one such row must not hold up all others. */
export function parseObject(text: string): JsonObject {
  const value = parseJson(text);
  // Said by the codec, which puts the job into quarantine.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : { unreadable: text };
}

/** `undefined` for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
