import { loadRedisDriver } from './load.mjs';

const BATCH = 100;
const ADDED_TOGETHER = 1_000;

/** Claims what is due by `ARGV[1]`, at most `ARGV[2]`: marked as started and due again an hour on. Answers ids and times. */
const START = `
  local due = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES')
  for i = 1, #due, 2 do
    local at = tonumber(due[i + 1])
    redis.call('HSET', 'job:' .. due[i], 'status', 'running', 'started', ARGV[1], 'state', ARGV[3])
    redis.call('ZADD', KEYS[1], at + 3600000, due[i])
  end
  return due`;

/** Marks the jobs in `ARGV[4…]` (id, time, id, time, …) as finished, and adds a line of history for each. */
const FINISH = `
  for i = 4, #ARGV, 2 do
    local key = 'job:' .. ARGV[i]
    redis.call('HSET', key, 'status', 'active', 'state', ARGV[3])
    redis.call('HINCRBY', key, 'runs', 1)
    redis.call('RPUSH', 'ledger:' .. ARGV[i], 'succeeded ' .. ARGV[i + 1] .. ' ' .. ARGV[1] .. ' ' .. ARGV[2] .. ' host-1')
  end`;

/**
 * The least a durable scheduler could write to Redis, by hand: a hash for each job, a sorted set of what is due, a list of
 * history for each job; one connection, two scripts, a hundred jobs a call. No definitions, policies, leases, revisions
 * or events.
 *
 * @param {string} url
 * @param {number} [stateLength] of a text that is written with each change of a job, as long as punctual's
 */
export async function openRaw(url, stateLength = 0) {
  const { Redis } = await loadRedisDriver();
  const client = new Redis(url);
  const state = 'x'.repeat(stateLength);
  const start = /** @type {string} */ (await client.script('LOAD', START));
  const finish = /** @type {string} */ (await client.script('LOAD', FINISH));

  return {
    /**
     * @param {number} jobs
     * @param {number} at
     */
    async add(jobs, at) {
      for (let from = 0; from < jobs; from += ADDED_TOGETHER) {
        const pipeline = client.pipeline();
        for (let i = from; i < Math.min(jobs, from + ADDED_TOGETHER); i++) {
          pipeline.hset(`job:${i}`, { task: 'noop', every: 3_600_000, status: 'active', runs: 0, state });
          pipeline.zadd('due', at, String(i));
        }
        await pipeline.exec();
      }
    },

    /**
     * Everything that is due. Answers how many.
     *
     * @param {number} now
     */
    async work(now) {
      let done = 0;
      for (;;) {
        const due = /** @type {string[]} */ (await client.evalsha(start, 1, 'due', now, BATCH, state));
        if (due.length === 0) return done;
        await client.evalsha(finish, 0, now, Date.now(), state, ...due);
        done += due.length / 2;
      }
    },

    close: () => client.quit(),
  };
}
