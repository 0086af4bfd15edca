import { NO_STATS, type JobStats } from '../../model/stats.js';
import type { JsonObject } from '../../ports/job-codec.js';
import { parseJson, parseObject } from '../../serializers/parse-object.js';

/** Fields of a state as the codec writes it, by their place in the text. Never changed: a new one goes to the end. */
const FIELDS = [
  'v',
  'status',
  'reason',
  'nextFireTime',
  'nextDueAt',
  'lastFireTime',
  'runCount',
  'fence',
  'generation',
  'firstFireTime',
] as const;
/** These, too, and then their places: 0 stands for an empty list, and for no counts. */
const RUNS = FIELDS.length;
const STATS = RUNS + 1;
const FIELD_COUNT = STATS + 1;

const COUNTS = Object.keys(NO_STATS) as (keyof JobStats)[];

/**
 * A state as text, without the names of its fields: it is written twice a run, and how long it is decides how many pages
 * of the database a batch changes. A state of another shape, which only a record that cannot be read has, keeps its names.
 */
export function writeState(state: JsonObject): string {
  const { runs, stats } = state as { runs?: unknown; stats?: JobStats };
  if (!Array.isArray(runs) || typeof stats !== 'object' || Object.keys(state).length !== FIELD_COUNT) return JSON.stringify(state);
  let text = '[';
  for (const field of FIELDS) {
    const value = state[field];
    if (value === undefined) return JSON.stringify(state);
    text += `${toText(value)},`;
  }
  text += runs.length === 0 ? '0,' : `${JSON.stringify(runs)},`;
  if (stats === NO_STATS) return `${text}0]`;
  let counts = '';
  for (const count of COUNTS) {
    counts += `${counts === '' ? '' : ','}${toText(stats[count])}`;
  }
  return `${text}[${counts}]]`;
}

/** Of numbers and null the same as JSON's, in a fraction of the time. */
function toText(value: unknown): string {
  return value === null || (typeof value === 'number' && Number.isFinite(value)) ? String(value) : JSON.stringify(value);
}

export function readState(text: string): JsonObject {
  const value = parseJson(text);
  if (!Array.isArray(value)) return parseObject(text);
  const list = value as readonly unknown[];
  const state: Record<string, unknown> = {};
  for (let index = 0; index < RUNS; index++) state[FIELDS[index]!] = list[index];
  state['runs'] = list[RUNS] === 0 ? [] : list[RUNS];
  state['stats'] = list[STATS] === 0 ? NO_STATS : countsOf(list[STATS]);
  return state;
}

function countsOf(values: unknown): unknown {
  if (!Array.isArray(values)) return values;
  const counts: Record<string, unknown> = {};
  for (let index = 0; index < COUNTS.length; index++) counts[COUNTS[index]!] = (values as readonly unknown[])[index];
  return counts;
}
