import type { Lease, LeaseRequest, Leases } from '../../ports/job-store.js';
import type { Reply } from './driver.js';
import { COMMON } from './job-scripts.js';
import { script, type Link } from './link.js';
import type { Notices } from './notices.js';

/**
 * key, holder, now, end, whether by force. A lease is its token, its end and its holder; one that was released has no end, and
 * stays for its token until that is noted for all (`tokens` in `meta`).
 *
 * Tokens are microseconds of the server's clock, where that is greater than the last one: a failover to a replica that had
 * not yet heard of the latest holders would give out their tokens again if they were counted.
 */
const ACQUIRE = script(`${COMMON}
local key, holder = ARGV[1], ARGV[2]
local token, ends, owner = string.match(call('HGET', B .. 'leases', key) or '0 - ', '^(%S+) (%S+) (.*)$')
local held = ends ~= '-'
if held and owner ~= holder and tonumber(ends) > tonumber(ARGV[3]) and ARGV[5] ~= '1' then return false end
token = tonumber(token)
local till = ARGV[4]
if not (held and owner == holder) then
  local time = call('TIME')
  token = math.max(token + 1, tonumber(call('HGET', B .. 'meta', 'tokens') or '0') + 1, tonumber(time[1]) * 1e6 + tonumber(time[2]))
-- A renewal that was held up on its way does not undo a later one.
elseif tonumber(ends) > tonumber(till) then till = ends end
call('HSET', B .. 'leases', key, string.format('%.0f', token) .. ' ' .. till .. ' ' .. holder)
return { token, till }
`);

const GET = script(`${COMMON}
return call('HGET', B .. 'leases', ARGV[1])
`);

/** key, holder, where to tell of it (''). That it cannot be told is no reason to keep it. */
const RELEASE = script(`${COMMON}
local token, ends, owner = string.match(call('HGET', B .. 'leases', ARGV[1]) or '', '^(%S+) (%S+) (.*)$')
if not token or ends == '-' or owner ~= ARGV[2] then return 0 end
call('HSET', B .. 'leases', ARGV[1], token .. ' - ')
if ARGV[3] ~= '' then redis.pcall('PUBLISH', ARGV[3], 'released ' .. ARGV[1]) end
return 1
`);

/** Cursor, how many. Takes out leases that were released: the greatest of their tokens is noted for all that are not there. */
export const DROP_RELEASED = script(`${COMMON}
local page, gone, most = call('HSCAN', B .. 'leases', ARGV[1], 'COUNT', ARGV[2]), {}, tonumber(call('HGET', B .. 'meta', 'tokens') or '0')
for i = 1, #page[2], 2 do
  local token, ends = string.match(page[2][i + 1], '^(%S+) (%S+) ')
  if ends == '-' then
    add(gone, page[2][i])
    most = math.max(most, tonumber(token))
  end
end
if #gone > 0 then call('HSET', B .. 'meta', 'tokens', string.format('%.0f', most)) end
many('HDEL', B .. 'leases', gone)
return { page[1], 0 }
`);

/** Leases in a hash. No key of the server's runs out: the caller says what time it is, as for everything else. */
export class RedisLeases implements Leases {
  readonly #link: Link;
  readonly #notices: Notices | undefined;

  constructor(link: Link, notices: Notices | undefined) {
    this.#link = link;
    this.#notices = notices;
  }

  async acquire({ key, holder, now, ttlMs, force = false }: LeaseRequest): Promise<Lease | undefined> {
    const answer = (await this.#link.run(ACQUIRE, [key, holder, String(now), String(now + ttlMs), force ? '1' : '0'])) as readonly Reply[] | null;
    return answer === null ? undefined : { key, holder, token: Number(answer[0]), expiresAt: Number(answer[1]) };
  }

  async get(key: string): Promise<Lease | undefined> {
    const text = await this.#link.run(GET, [key]);
    const [, token, ends, holder] = /^(\S+) (\S+) ([^]*)$/.exec(typeof text === 'string' ? text : '') ?? [];
    if (holder === undefined || ends === '-') return undefined;
    return { key, holder, token: Number(token), expiresAt: Number(ends) };
  }

  async release(key: string, holder: string): Promise<void> {
    await this.#link.run(RELEASE, [key, holder, this.#notices?.channel ?? '']);
  }

  async watch(key: string, onRelease: () => void): Promise<() => void> {
    return this.#notices === undefined ? () => undefined : this.#notices.listenFor(key, onRelease);
  }
}
