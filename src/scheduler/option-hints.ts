import type { Hints } from '../errors/options.js';
import { LIMIT_OPTIONS } from './limits/limit-options.js';
import { POLICY_OPTIONS } from './policy.js';

const hints = (keys: readonly string[], hint: (key: string) => string): Hints => Object.fromEntries(keys.map((key) => [key, hint(key)]));

const OF_TASK: readonly string[] = ['version', 'upgrades', 'args'];
const limitHint = (key: string): string =>
  `A limit is of a task or a tag: defineTask(name, fn, { ${key} }), or { limits: { tags: { 'api': { ${key} } } } } of the scheduler. ` +
  'How many runs of one job go on at one time is `maxInstances`; how many go on in one process, the concurrency of its executor.';

/** Options of `defineTask` that look as if a job might have them. */
export const TASK_HINTS: Hints = hints(
  [...LIMIT_OPTIONS, 'onError', 'version', 'upgrades'],
  (key) => `It goes for all jobs of a task, and is given to that: defineTask(name, fn, { ${key} }).`,
);

/** What a job does not take, and where it belongs. */
export const JOB_HINTS: Hints = {
  ...TASK_HINTS,
  ...hints(['timezone', 'timeZone', 'tz'], () => 'The time zone belongs to the trigger: new CronTrigger(expression, { timezone }).'),
};

/** The same for a job that is given with its task and trigger. */
export const SPEC_HINTS: Hints = {
  ...JOB_HINTS,
  ...hints(['fn', 'func', 'function', 'handler'], () => "What is to run is given as `task`: { task: 'report', trigger: '0 9 * * *' }."),
  ...hints(['cron', 'schedule'], () => "When it runs is given as `trigger`: { task: 'report', trigger: '0 9 * * *' }."),
};

/** What `jobDefaults` does not take, and where it belongs. */
export const DEFAULTS_HINTS: Hints = {
  ...hints(LIMIT_OPTIONS, limitHint),
  ...hints(OF_TASK, (key) => `It is of one task: defineTask(name, fn, { ${key} }).`),
  timezone: 'It stands beside `jobDefaults`: new AsyncScheduler({ timezone }).',
  onError: 'It stands beside `jobDefaults`: new AsyncScheduler({ onError }).',
};

/** The same for the scheduler. */
export const SCHEDULER_HINTS: Hints = {
  ...hints(POLICY_OPTIONS, (key) => `It is a policy of jobs: new AsyncScheduler({ jobDefaults: { ${key} } }).`),
  ...hints(LIMIT_OPTIONS, limitHint),
  executor: 'Executors are given by alias: new AsyncScheduler({ executors: { default: executor } }). In which of them jobs run is jobDefaults: { executor: alias }.',
};
