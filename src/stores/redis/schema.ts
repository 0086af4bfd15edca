import type { Logger } from '../../ports/logger.js';
import type { Reply } from './driver.js';
import { RedisStoreError, translate } from './errors.js';
import { COMMON } from './job-scripts.js';
import { script, type Link } from './link.js';

/**
 * Of what is stored. Raised with each change to it that an earlier release would not understand. With 2 an entry of the ledger is one
 * line; those of 1 stay as they are, and are read. With 3 the latest numbers of a job are in a hash of all; what lists have, they keep.
 */
const VERSION = 3;

const OLDEST_SERVER = [6, 2] as const;

/**
 * Version, then keys and their types. Answers `ok` with the version that was there, or what is wrong. Every command that
 * writes is tried on keys of no use, since a script that is refused one in its midst leaves the other half behind.
 */
const OPEN = script(`${COMMON}
for i = 2, #ARGV, 2 do
  local found = call('TYPE', B .. ARGV[i])['ok']
  if found ~= 'none' and found ~= ARGV[i + 1] then return { 'foreign', ARGV[i] } end
end
local version = call('HGET', B .. 'meta', 'schema')
if not version and call('EXISTS', B .. 'head', B .. 'state', B .. 'ids') == 3 then return { 'unmarked', 'meta' } end
if not version then
  for i = 2, #ARGV, 2 do
    if call('EXISTS', B .. ARGV[i]) == 1 then return { 'foreign', ARGV[i] } end
  end
elseif not tonumber(version) then return { 'foreign', 'meta' }
elseif tonumber(version) > tonumber(ARGV[1]) then return { 'newer', version } end
local probe = B .. 'probe:'
local commands = {
  { 'HSET', 'h', 'a', 1 }, { 'HINCRBY', 'h', 'a', 1 }, { 'HGET', 'h', 'a' }, { 'HMGET', 'h', 'a' }, { 'HGETALL', 'h' }, { 'HEXISTS', 'h', 'a' },
  { 'HSCAN', 'h', 0 }, { 'HDEL', 'h', 'a' }, { 'ZADD', 'z', 0, 'a' }, { 'ZSCORE', 'z', 'a' }, { 'ZMSCORE', 'z', 'a' }, { 'ZRANGE', 'z', 0, 0 },
  { 'ZRANGEBYSCORE', 'z', 0, 0 }, { 'ZREVRANGEBYSCORE', 'z', 0, 0 }, { 'ZRANGEBYLEX', 'z', '-', '+' }, { 'ZREMRANGEBYSCORE', 'z', 1, 2 },
  { 'ZCOUNT', 'z', 0, 0 }, { 'ZSCAN', 'z', 0 }, { 'ZREM', 'z', 'a' }, { 'SADD', 's', 'a' }, { 'SMEMBERS', 's' }, { 'SREM', 's', 'a' }, { 'RPUSH', 'l', 'a' },
  { 'LLEN', 'l' }, { 'LINDEX', 'l', 0 }, { 'LRANGE', 'l', 0, 0 }, { 'LREM', 'l', 1, 'b' }, { 'LPOP', 'l', 1 },
  { 'RPOP', 'l' },
  { 'XADD', 'x', '1-0', 'a', 'b' }, { 'XRANGE', 'x', '-', '+' }, { 'XREVRANGE', 'x', '+', '-' }, { 'XDEL', 'x', '1-0' },
}
local refused
for _, command in ipairs(commands) do
  command[2] = probe .. command[2]
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer['err'] then refused = answer break end
end
redis.pcall('DEL', probe .. 'h', probe .. 'z', probe .. 's', probe .. 'l', probe .. 'x')
if refused then return refused end
if version ~= ARGV[1] then call('HSET', B .. 'meta', 'schema', ARGV[1]) end
return { 'ok', version or '' }
`);

const KEYS: Readonly<Record<string, string>> = {
  meta: 'hash',
  head: 'hash',
  state: 'hash',
  def: 'hash',
  look: 'hash',
  ids: 'zset',
  idx: 'zset',
  lanes: 'set',
  hidden: 'zset',
  alarms: 'zset',
  log: 'stream',
  latest: 'hash',
  trouble: 'zset',
  result: 'hash',
  results: 'zset',
  pruned: 'hash',
  leases: 'hash',
  members: 'hash',
};

/**
 * Makes sure that the server can be used and that what is there is of this release, and makes it if nothing is there.
 *
 * @throws RedisStoreError
 */
export async function prepare(link: Link, logger: Logger): Promise<void> {
  await lookAtServer(link, logger);
  const [answer, detail] = (await link.run(OPEN, [String(VERSION), ...Object.entries(KEYS).flat()])) as Reply[];
  if (answer === 'newer') {
    throw new RedisStoreError(
      'newer-version',
      `What is stored under ${link.base} has version ${String(detail)}, and this release of punctual knows ${VERSION}. Update punctual, or give another \`prefix\`.`,
    );
  }
  if (answer === 'unmarked') {
    throw new RedisStoreError(
      'foreign-keys',
      `The key ${link.base}meta, which says what version the data has, is gone. If nothing later than this release has written it, put the version back: HSET ${link.base}meta schema ${VERSION}. Else give another \`prefix\`.`,
    );
  }
  if (answer === 'foreign') throw new RedisStoreError('foreign-keys', `The key ${link.base}${String(detail)} is not punctual's. Give another \`prefix\`.`);
}

/** What the server says of itself, where it may be asked. */
async function lookAtServer(link: Link, logger: Logger): Promise<void> {
  let text: string;
  try {
    text = String(await link.send('INFO'));
  } catch (error) {
    if (!isRefused(error)) throw error;
    warnOfPolicy(await policyOf(link), logger);
    return;
  }
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*)$`, 'm').exec(text)?.[1]?.trim();
  const version = field('redis_version') ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version !== '' && (major < OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor < OLDEST_SERVER[1]))) {
    throw new RedisStoreError('old-server', `RedisJobStore needs Redis 6.2 or later, or Valkey, and this server is ${version}. Update it.`);
  }
  warnOfPolicy(field('maxmemory_policy'), logger);
}

async function policyOf(link: Link): Promise<string | undefined> {
  try {
    const answer = (await link.send('CONFIG', 'GET', 'maxmemory-policy')) as readonly Reply[] | Readonly<Record<string, string>>;
    return Array.isArray(answer) ? String((answer as readonly Reply[])[1]) : (answer as Readonly<Record<string, string>>)['maxmemory-policy'];
  } catch (error) {
    if (isRefused(error)) return undefined;
    throw error;
  }
}

/** The user may not ask, or a provider took the command out. */
function isRefused(error: unknown): boolean {
  const translated = translate(error);
  return translated instanceof RedisStoreError ? translated.reason === 'no-access' : /unknown (sub)?command/i.test(translated.message);
}

function warnOfPolicy(policy: string | undefined, logger: Logger): void {
  if (policy === undefined || policy === 'noeviction') return;
  logger.warn(`Redis may throw jobs away: its maxmemory-policy is ${policy}. Set it to noeviction, or give the jobs a Redis of their own`, { policy });
}
