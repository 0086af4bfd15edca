import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { lead } from '../lib/lead.mjs';
import { column } from '../lib/measurement.mjs';
import { withFile } from '../lib/sqlite-files.mjs';
import { fill, schedulerOn } from '../lib/sqlite-jobs.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = 20_000;
const WORKER = fileURLToPath(new URL('../lib/sqlite-worker.mjs', import.meta.url));

/** @param {number} processes */
function perSecond(processes) {
  return withFile(async (path) => {
    const at = Date.now() + lead(6_000);
    await fill(path, JOBS, () => ({ at }));
    /** @type {{ runs: number, last: number }[]} */
    const told = [];
    const workers = await Promise.all(
      Array.from({ length: processes }, async (_, i) => {
        const worker = fork(WORKER, [path]);
        await new Promise((resolve) =>
          worker.on('message', (/** @type {{ runs: number, last: number }} */ message) => {
            told[i] = message;
            resolve(undefined);
          }),
        );
        return worker;
      }),
    );
    if (Date.now() > at - 100) throw new Error('the processes were not ready in time');
    const total = () => told.reduce((sum, { runs }) => sum + runs, 0);
    while (total() < JOBS) await new Promise((resolve) => setTimeout(resolve, 20));
    const ms = Math.max(...told.map(({ last }) => last)) - at;
    await Promise.all(
      workers.map(async (worker) => {
        const ended = new Promise((resolve) => worker.on('exit', resolve));
        worker.send('stop');
        await ended;
      }),
    );
    const scheduler = await schedulerOn(path);
    const recorded = await scheduler.getRuns({ verdict: 'succeeded', limit: 2 * JOBS });
    await scheduler.shutdown();
    if (recorded.length !== JOBS) throw new Error(`${recorded.length} runs in the ledger`);
    return { perSecond: (JOBS / ms) * 1000, share: Math.max(...told.map(({ runs }) => runs)) / JOBS };
  });
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'sqlite-processes',
  title: `SQLite: several processes on one file, ${show(JOBS)} no-op durable runs`,
  method: [
    'Jobs due at one instant, a scheduler started beforehand in each process; runs of all of them per second from that instant until the last `jobExecuted`. Each run is in the ledger once. SQLite has one writer at a time, so processes share its throughput and do not add to it; what they add is the time for the tasks themselves, which here is none.',
  ],
  rounds: 3,
  contenders: {
    one: { measure: () => perSecond(1) },
    two: { measure: () => perSecond(2) },
    four: { measure: () => perSecond(4) },
  },
  report(samples) {
    /** @param {string} contender */
    const rates = (contender) => column(samples, contender, 'perSecond');
    return {
      head: ['processes', 'runs/s', 'against one', 'largest share of a process'],
      rows: /** @type {const} */ ([
        ['1', 'one'],
        ['2', 'two'],
        ['4', 'four'],
      ]).map(([title, contender]) => [
        title,
        show(median(rates(contender))),
        `${show(ratio(rates(contender), rates('one')))}×`,
        `${show(median(column(samples, contender, 'share')) * 100)} %`,
      ]),
      checks: [],
    };
  },
};
