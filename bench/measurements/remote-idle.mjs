import { setTimeout as sleep } from 'node:timers/promises';
import { engines } from '../lib/engines.mjs';
import { loadPgDriver, loadRedisDriver } from '../lib/load.mjs';
import { column } from '../lib/measurement.mjs';
import { withNats } from '../lib/nats-servers.mjs';
import { withServer } from '../lib/postgres-servers.mjs';
import { withRedis } from '../lib/redis-servers.mjs';
import { fill, schedulerOn } from '../lib/remote-jobs.mjs';
import { sized } from '../lib/size.mjs';
import { median, show } from '../lib/stats.mjs';

const JOBS = sized(100_000);
const NODES = 2;
const HOUR_MS = 3_600_000;
/** What starting leaves to do is over by then. */
const SETTLE_MS = 12_000;
const WATCH_MS = 60_000;

/**
 * @param {import('../lib/engines.mjs').EngineName} engine
 * @param {string} url
 * @param {() => Promise<number>} asked how often the server has been asked so far
 */
async function idle(engine, url, asked) {
  const makeStore = await engines[engine].stores(url);
  await fill(makeStore(), JOBS, Date.now() + HOUR_MS);
  const schedulers = await Promise.all(Array.from({ length: NODES }, () => schedulerOn(makeStore())));
  for (const scheduler of schedulers) await scheduler.start();
  await sleep(SETTLE_MS);
  const before = await asked();
  const cpu = process.cpuUsage();
  await sleep(WATCH_MS);
  const { user, system } = process.cpuUsage(cpu);
  const times = (await asked()) - before;
  await Promise.all(schedulers.map((scheduler) => scheduler.shutdown()));
  const perNode = WATCH_MS * NODES;
  return { asked: (times / perNode) * 10_000, cpuMs: ((user + system) / 1000 / perNode) * 10_000 };
}

async function postgres() {
  const settings = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track=top', 'pg_stat_statements.track_utility=off'];
  const sample = await withServer(async (url) => {
    const { Client } = await loadPgDriver();
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('CREATE EXTENSION pg_stat_statements');
    const calls = `SELECT coalesce(sum(calls), 0)::int AS calls FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'`;
    const figures = await idle('postgres', url, async () => (await client.query(calls)).rows[0].calls);
    await client.end();
    return figures;
  }, settings);
  return sample ?? {};
}

async function redis() {
  const sample = await withRedis(async (url) => {
    const { Redis } = await loadRedisDriver();
    const client = new Redis(url);
    let commands = 0;
    const monitor = await client.monitor();
    // What a script does within the server is not asked for by anybody.
    monitor.on('monitor', (_at, _command, source) => {
      if (source !== 'lua') commands += 1;
    });
    const figures = await idle('redis', url, async () => commands);
    monitor.disconnect();
    client.disconnect();
    return figures;
  });
  return sample ?? {};
}

async function nats() {
  const sample = await withNats((url, monitor) =>
    idle('nats', url, async () => {
      const answer = await fetch(`${monitor}/varz`);
      const { in_msgs: messages } = /** @type {{ in_msgs: number }} */ (await answer.json());
      return messages;
    }),
  );
  return sample ?? {};
}

/** @type {import('../lib/measurement.mjs').Measurement} */
export const measurement = {
  id: 'remote-idle',
  title: `Shared stores: ${show(JOBS)} jobs an hour away, ${NODES} nodes, watched for ${WATCH_MS / 1000} s`,
  method: [
    `${NODES} schedulers in one process, each with a store and connections of its own. Questions per node in 10 s, housekeeping and what nodes tell of themselves included. PostgreSQL: statements by \`pg_stat_statements\`, without the BEGIN, SET LOCAL and COMMIT around them. Redis: commands by \`MONITOR\`, without those within scripts. NATS: messages that the server received (\`in_msgs\`). Processor time is the process's, per node in 10 s; all engines run side by side.`,
  ],
  rounds: 1,
  sideBySide: true,
  contenders: { postgres: { measure: postgres }, redis: { measure: redis }, nats: { measure: nats } },
  report(samples) {
    const names = /** @type {import('../lib/engines.mjs').EngineName[]} */ (Object.keys(engines));
    return {
      head: ['', 'questions per node in 10 s', 'processor time (ms) per node in 10 s'],
      rows: names.map((engine) => [
        engines[engine].title,
        ...['asked', 'cpuMs'].map((field) => show(median(column(samples, engine, field)))),
      ]),
      checks: names.map((engine) => {
        const asked = median(column(samples, engine, 'asked'));
        return {
          target: `${engines[engine].title}: ≤ 1 in 10 s`,
          figure: show(asked),
          met: Number.isNaN(asked) ? null : asked <= 1,
        };
      }),
    };
  },
};
