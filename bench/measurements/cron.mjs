import { loadPeer, loadPunctual } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

/** From every minute to once in four years; times, days, weekdays, the last of a month. */
const EXPRESSIONS = [
  '* * * * *',
  '*/5 * * * *',
  '0 * * * *',
  '0 9 * * 1-5',
  '30 2 * * *',
  '0 0 1 * *',
  '0 0 29 2 *',
  '15 10 * * 1',
  '0,30 8-18 * * 1-5',
  '0 12 1,15 1-6 *',
];
const LEAP_DAY = EXPRESSIONS.indexOf('0 0 29 2 *');
const NEW_YORK = 'America/New_York';
const FROM = Date.UTC(2026, 0, 1);
const TO = Date.UTC(2038, 0, 1);
/** How long each expression is asked, after half as long to warm up. */
const ASK_MS = 200;
const JOBS = 10_000;

/** @typedef {(expression: string, timezone: string) => (after: number) => number} Next a reused expression */
/** @typedef {(expression: string, timezone: string) => number} First parse, and the first fire time */

/**
 * Questions a second: each answer is asked about next, from 2026 to 2038 and over again.
 *
 * @param {(after: number) => number} next
 */
function rateOf(next) {
  ask(next, ASK_MS / 2);
  return ask(next, ASK_MS);
}

/**
 * @param {(after: number) => number} next
 * @param {number} milliseconds
 */
function ask(next, milliseconds) {
  let at = FROM;
  let count = 0;
  // Looking at the clock costs as much as several answers of the fast ones: do it less and less often.
  let batch = 1;
  const start = performance.now();
  for (let elapsed = 0; elapsed < milliseconds; elapsed = performance.now() - start) {
    for (let i = 0; i < batch; i++) {
      at = next(at);
      if (!(at < TO)) at = FROM;
    }
    count += batch;
    if (elapsed < milliseconds / 20) batch *= 2;
  }
  return (count / (performance.now() - start)) * 1000;
}

/** @param {readonly number[]} values */
function geometricMean(values) {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Expressions no two of which are equal: minutes and hours by number, days and weekdays by range and step. */
function* newExpressions() {
  for (let i = 0; ; i++) {
    const [minute, hour] = [i % 60, Math.floor(i / 60) % 24];
    const weekday = Math.floor(i / 1440) % 7;
    yield `${minute} ${hour} ${1 + (i % 14)}-${15 + (i % 17)} * ${weekday}`;
  }
}

/**
 * @param {First} first
 * @param {Iterable<string>} expressions
 */
function parseRate(first, expressions) {
  const iterator = expressions[Symbol.iterator]();
  const take = () => iterator.next().value ?? EXPRESSIONS[0] ?? '';
  for (let i = 0; i < 200; i++) first(take(), NEW_YORK);
  const start = performance.now();
  let count = 0;
  for (; performance.now() < start + 300; count++) first(take(), NEW_YORK);
  return (count / (performance.now() - start)) * 1000;
}

function* seenExpressions() {
  for (let i = 0; ; i++) yield EXPRESSIONS[i % EXPRESSIONS.length] ?? '';
}

/**
 * @param {Next} next
 * @param {First} first
 */
function measureAll(next, first) {
  /** @type {Record<string, number>} */
  const sample = {};
  for (const timezone of ['UTC', NEW_YORK]) {
    const rates = EXPRESSIONS.map((expression) => rateOf(next(expression, timezone)));
    sample[timezone] = geometricMean(rates);
    if (timezone === NEW_YORK) sample['leapDay'] = rates[LEAP_DAY] ?? Number.NaN;
  }
  sample['seen'] = parseRate(first, seenExpressions());
  sample['new'] = parseRate(first, newExpressions());
  return sample;
}

/** Fifty expressions, as a program with many jobs has them. */
const FIFTY = Array.from({ length: 50 }, (_, i) => `${(i * 7) % 60} ${i % 24} * * ${i % 7}`);

/**
 * @param {(i: number, expression: string) => unknown} add
 * @returns {Promise<{ added: number, bytes: number }>}
 */
async function addAll(add) {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const start = performance.now();
  for (let i = 0; i < JOBS; i++) await add(i, FIFTY[i % 50] ?? '');
  const added = (JOBS / (performance.now() - start)) * 1000;
  globalThis.gc?.();
  return { added, bytes: (process.memoryUsage().heapUsed - before) / JOBS };
}

const task = async () => {};

async function measurePunctual() {
  const { AsyncScheduler, CronTrigger } = await loadPunctual();
  // Intl itself takes some 30 ms to load, once per process, whoever asks first.
  new Intl.DateTimeFormat('en-US', { timeZone: 'Europe/Berlin', hour: 'numeric' }).format(0);
  new CronTrigger('0 9 * * *', { timezone: 'Europe/Paris' }).next(FROM);
  const firstUse = median(
    [NEW_YORK, 'Asia/Tokyo', 'Europe/London', 'Australia/Sydney', 'America/Sao_Paulo'].map((timezone) => {
      const start = performance.now();
      new CronTrigger('0 9 * * *', { timezone }).next(FROM);
      return performance.now() - start;
    }),
  );
  const scheduler = new AsyncScheduler({ timezone: NEW_YORK });
  const jobs = await addAll((i, expression) => scheduler.addJob(task, new CronTrigger(expression), { id: `job-${i}` }));
  const sample = measureAll(
    (expression, timezone) => {
      const trigger = new CronTrigger(expression, { timezone });
      return (after) => trigger.next(after) ?? Infinity;
    },
    (expression, timezone) => new CronTrigger(expression, { timezone }).next(FROM) ?? Infinity,
  );
  return { ...sample, ...jobs, firstUse };
}

async function measureCroner() {
  const { Cron } = await loadPeer('croner');
  const jobs = await addAll((i, expression) => new Cron(expression, { name: `job-${i}`, timezone: NEW_YORK }, task));
  const sample = measureAll(
    (expression, timezone) => {
      const cron = new Cron(expression, { timezone, paused: true });
      return (after) => cron.nextRun(new Date(after))?.getTime() ?? Infinity;
    },
    (expression, timezone) =>
      new Cron(expression, { timezone, paused: true }).nextRun(new Date(FROM))?.getTime() ?? Infinity,
  );
  return { ...sample, ...jobs };
}

async function measureCronParser() {
  // The version that punctual depends on, not the one that came with node-schedule.
  const { default: cronParser } = await import(
    new URL('../../node_modules/cron-parser/dist/index.js', import.meta.url).href
  );
  const { CronExpressionParser } = cronParser;
  return measureAll(
    (expression, timezone) => {
      const cron = CronExpressionParser.parse(expression, { tz: timezone, currentDate: new Date(FROM) });
      return (after) => {
        // It goes on from where it is, which is cheaper than being told.
        if (after === FROM) cron.reset(new Date(FROM));
        return cron.next().getTime();
      };
    },
    (expression, timezone) =>
      CronExpressionParser.parse(expression, { tz: timezone, currentDate: new Date(FROM) })
        .next()
        .getTime(),
  );
}

async function measureCron() {
  const { CronTime } = await loadPeer('cron');
  return measureAll(
    (expression, timezone) => {
      const cron = new CronTime(expression, timezone);
      return (after) => {
        try {
          return cron.getNextDateFrom(new Date(after), timezone).toMillis();
        } catch {
          // It looks eight years ahead of today and no further.
          return Infinity;
        }
      };
    },
    (expression, timezone) => new CronTime(expression, timezone).getNextDateFrom(new Date(FROM), timezone).toMillis(),
  );
}

async function measureNodeCron() {
  const nodeCron = await loadPeer('node-cron');
  const make = (/** @type {string} */ expression, /** @type {string} */ timezone) =>
    nodeCron.createTask(expression, task, { timezone });
  /** @type {Next} */
  const next = (expression, timezone) => {
    const cron = make(expression, timezone);
    let queue = /** @type {Date[]} */ ([]);
    return () => {
      // It only answers from now on, but several at a time.
      if (queue.length === 0) queue = cron.getNextRuns(50).reverse();
      queue.pop();
      return FROM;
    };
  };
  return measureAll(next, (expression, timezone) => make(expression, timezone).getNextRun()?.getTime() ?? Infinity);
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'cron',
  title: 'Cron expressions',
  method: [
    `\`next\` of an expression that is made once: geometric mean over ${EXPRESSIONS.length} expressions (${EXPRESSIONS.map((e) => `\`${e}\``).join(', ')}); each answer is asked about next, from 2026 to 2038 and over again. cron-parser goes on from its last answer; node-cron only answers from now on and is asked for 50 at a time.`,
    'Parse + first: an expression made and asked once, in New York, after the zone has been used; seen: the ten over and over; new: never the same twice.',
    'First use of a zone: a trigger made and asked for the first time in its zone; the median of five zones, after another one.',
    `Jobs: ${show(JOBS)} jobs of 50 expressions in New York, added to a scheduler (punctual) or scheduled (croner).`,
  ],
  rounds: 3,
  contenders: {
    punctual: { measure: measurePunctual },
    croner: { measure: measureCroner },
    'cron-parser': { measure: measureCronParser },
    'node-cron': { measure: measureNodeCron, rounds: 1 },
    cron: { measure: measureCron, rounds: 1 },
  },
  report(samples) {
    /** @param {string} contender @param {string} field */
    const figure = (contender, field) => show(median(column(samples, contender, field)));
    /** @param {string} field */
    const toCroner = (field) => ratio(column(samples, 'punctual', field), column(samples, 'croner', field));
    /** @param {string} target @param {string} field @param {number} least */
    const atLeast = (target, field, least) => ({
      target,
      figure: `${show(toCroner(field))}×`,
      met: toCroner(field) >= least,
    });
    const firstUse = median(column(samples, 'punctual', 'firstUse'));
    const bytes = median(column(samples, 'punctual', 'bytes'));
    return {
      head: [
        '',
        '`next`/s, UTC',
        '`next`/s, New York',
        '`0 0 29 2 *`',
        'parse + first, seen',
        'parse + first, new',
        'jobs added/s',
        'bytes a job',
      ],
      rows: ['punctual', 'croner', 'cron-parser', 'node-cron', 'cron'].map((name) => [
        name,
        ...['UTC', NEW_YORK, 'leapDay', 'seen', 'new', 'added', 'bytes'].map((field) => figure(name, field)),
      ]),
      checks: [
        atLeast('`next`, UTC ≥ 400× croner', 'UTC', 400),
        atLeast('`next`, New York ≥ 300× croner', NEW_YORK, 300),
        atLeast('`0 0 29 2 *`, New York ≥ 50× croner', 'leapDay', 50),
        atLeast('parse + first, seen ≥ 5× croner', 'seen', 5),
        atLeast('parse + first, new ≥ 0.8× croner', 'new', 0.8),
        atLeast(`${show(JOBS)} jobs added ≥ 10× croner`, 'added', 10),
        { target: 'a cron job ≤ 1 KB', figure: `${show(bytes)} bytes`, met: bytes <= 1024 },
        { target: 'first use of a zone ≤ 2 ms', figure: `${firstUse.toFixed(2)} ms`, met: firstUse <= 2 },
      ],
    };
  },
};
