import { readFileSync } from 'node:fs';
import type { Trigger } from '../../../src/ports/trigger.js';

/** Reads a file of cases, one JSON object a line; `test/vectors/README.md` describes them. */
export function loadVectors<Case>(file: string): Case[] {
  const path = new URL(`../../vectors/${file}`, import.meta.url);
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Case);
}

/** The next fire times after an instant, as the vectors write them. */
export function fireTimes(trigger: Trigger, after: number, count: number): string[] {
  const times: string[] = [];
  for (let at = trigger.next(after); at !== null && times.length < count; at = trigger.next(at)) times.push(toText(at));
  return times;
}

/** The fire times up to and before an instant, oldest first, found backwards. */
export function fireTimesBefore(trigger: Trigger, before: number, count: number): string[] {
  const times: string[] = [];
  for (
    let at = trigger.previous?.(before) ?? null;
    at !== null && times.length < count;
    at = trigger.previous?.(at) ?? null
  ) {
    times.unshift(toText(at));
  }
  return times;
}

/** ISO 8601 in UTC, without a fraction of zero. */
export function toText(at: number): string {
  return new Date(at)
    .toISOString()
    .replace(/\.000Z$/, 'Z')
    .replace(/(\.\d*?)0+Z$/, '$1Z');
}
