import type { AnnounceRequest, Member, Members } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { COMMON } from './job-scripts.js';
import { script, type Link } from './link.js';

/** node, what it says, when, until. */
const ANNOUNCE = script(`${COMMON}
return call('HSET', B .. 'members', ARGV[1], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[2])
`);

const ALL = script(`${COMMON}
return call('HGETALL', B .. 'members')
`);

const WITHDRAW = script(`${COMMON}
return call('HDEL', B .. 'members', ARGV[1])
`);

/** now. Forgets those whose time is up. */
export const FORGET = script(`${COMMON}
local all, over = call('HGETALL', B .. 'members'), {}
for i = 1, #all, 2 do
  local ends = string.match(all[i + 1], '^%S+ (%S+) ')
  if not ends or tonumber(ends) <= tonumber(ARGV[1]) then add(over, all[i]) end
end
many('HDEL', B .. 'members', over)
return #over
`);

/** The nodes that use the store, in a hash. */
export class RedisMembers implements Members {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  async announce({ node, about, now, ttlMs }: AnnounceRequest): Promise<void> {
    await this.#link.run(ANNOUNCE, [node, about, String(now), String(now + ttlMs)]);
  }

  async list(now: EpochMs): Promise<Member[]> {
    const all = (await this.#link.run(ALL, [])) as string[];
    const members: Member[] = [];
    for (let i = 0; i + 1 < all.length; i += 2) {
      const [, seenAt, expiresAt, about] = /^(\S+) (\S+) ([^]*)$/.exec(all[i + 1]!) ?? [];
      if (about !== undefined && Number(expiresAt) > now) members.push({ node: all[i]!, about, seenAt: Number(seenAt), expiresAt: Number(expiresAt) });
    }
    return members.sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  async withdraw(node: string): Promise<void> {
    await this.#link.run(WITHDRAW, [node]);
  }
}
