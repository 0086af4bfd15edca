import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { engines } from '../lib/engines.mjs';
import { lead } from '../lib/lead.mjs';
import { column } from '../lib/measurement.mjs';
import { fill, schedulerOn } from '../lib/remote-jobs.mjs';
import { sized } from '../lib/size.mjs';
import { median, ratio, show } from '../lib/stats.mjs';

const JOBS = sized(4_000);
const WORK_MS = 1;
const LEAD_MS = 6_000;
const PATIENCE_MS = 60_000;
const NODES = [1, 2, 3];
const ENGINES = /** @type {const} */ (['postgres', 'redis', 'nats']);
const WORKER = fileURLToPath(new URL('../lib/remote-worker.mjs', import.meta.url));

/** @typedef {{ runs: number, last: number, began?: string[], claims?: { won: number, lost: number } }} Told */

/**
 * @param {import('../lib/engines.mjs').EngineName} engine
 * @param {number} nodes
 */
async function runs(engine, nodes) {
  const sample = await engines[engine].use(async (url) => {
    const makeStore = await engines[engine].stores(url);
    const at = Date.now() + lead(LEAD_MS);
    await fill(makeStore(), JOBS, at);
    /** @type {Told[]} */
    const told = [];
    const workers = await Promise.all(
      Array.from({ length: nodes }, async (_, i) => {
        const worker = fork(WORKER, [engine, url, String(WORK_MS)]);
        await new Promise((resolve, reject) => {
          worker.on('message', (/** @type {Told} */ message) => {
            told[i] = message;
            resolve(undefined);
          });
          worker.on('exit', reject);
        });
        return worker;
      }),
    );
    if (Date.now() > at - 100) throw new Error('the nodes were not ready in time');
    const total = () => told.reduce((sum, node) => sum + node.runs, 0);
    while (total() < JOBS && Date.now() < at + PATIENCE_MS) await sleep(20);
    await Promise.all(
      workers.map(async (worker) => {
        const ended = new Promise((resolve) => worker.on('exit', resolve));
        worker.send('stop');
        await ended;
      }),
    );
    const began = told.flatMap((node) => node.began ?? []);
    const reader = await schedulerOn(makeStore());
    const recorded = await reader.getRuns({ verdict: 'succeeded', limit: 2 * JOBS });
    await reader.shutdown();
    const won = told.reduce((sum, { claims }) => sum + (claims?.won ?? 0), 0);
    const lost = told.reduce((sum, { claims }) => sum + (claims?.lost ?? 0), 0);
    return {
      perSecond: (total() / (Math.max(...told.map(({ last }) => last)) - at)) * 1000,
      duplicates: began.length - new Set(began).size,
      // Asked for, and not both begun and recorded once.
      lost: Math.max(JOBS - new Set(began).size, JOBS - recorded.length),
      lostClaims: lost / (won + lost),
      share: Math.max(...told.map((node) => node.runs)) / JOBS,
    };
  });
  return sample ?? {};
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'remote-nodes',
  title: `Shared stores: one to three nodes, ${show(JOBS)} durable runs of ${WORK_MS} ms of work`,
  method: [
    `Nodes are processes, with a server of their own for each sample, all on this machine with durable settings. Jobs due at one instant, schedulers started beforehand; runs of all of them per second from that instant until the last \`jobExecuted\`. The task computes for ${WORK_MS} ms, and notes its fire time when it is a first attempt: duplicates are fire times that were noted twice, by whatever nodes; lost are those never noted or without a verdict in the ledger.`,
    'Lost claims: the share of jobs that a node claimed and found another had been first for. They cost a round trip, and no run.',
  ],
  rounds: 1,
  contenders: Object.fromEntries(
    ENGINES.flatMap((engine) => NODES.map((nodes) => [`${engine}, ${nodes}`, { measure: () => runs(engine, nodes) }])),
  ),
  report(samples) {
    /**
     * @param {string} contender
     * @param {string} field
     */
    const figure = (contender, field) => median(column(samples, contender, field));
    return {
      head: ['nodes', 'runs/s', 'against one', 'duplicates', 'lost', 'lost claims', 'largest share'],
      rows: ENGINES.flatMap((engine) =>
        NODES.map((nodes) => {
          const contender = `${engine}, ${nodes}`;
          return [
            `${engines[engine].title}, ${nodes}`,
            show(figure(contender, 'perSecond')),
            `${show(ratio(column(samples, contender, 'perSecond'), column(samples, `${engine}, 1`, 'perSecond')))}×`,
            String(sum(column(samples, contender, 'duplicates'))),
            String(sum(column(samples, contender, 'lost'))),
            `${show(figure(contender, 'lostClaims') * 100)} %`,
            `${show(figure(contender, 'share') * 100)} %`,
          ];
        }),
      ),
      checks: ENGINES.map((engine) => {
        const contenders = NODES.map((nodes) => `${engine}, ${nodes}`);
        const [duplicates, lost] = ['duplicates', 'lost'].map((field) =>
          sum(contenders.flatMap((name) => column(samples, name, field))),
        );
        const met = Number.isNaN(duplicates) ? null : duplicates === 0 && lost === 0;
        return {
          target: `${engines[engine].title}: no duplicates, none lost`,
          figure: `${duplicates} and ${lost}`,
          met,
        };
      }),
    };
  },
};

/** @param {readonly number[]} values */
function sum(values) {
  return values.reduce((a, b) => a + b, 0);
}
