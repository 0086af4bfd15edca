import { script } from './link.js';

/*
 * What is under the base, which is the only key a script is given; all others begin with it:
 *
 *   meta       hash: `schema`, `seq` (last number of the ledger), `lanes` (changes with the set of lanes), `sweep`, `tokens`
 *   head       hash, by job: revision, revision of the definition, status and whether some node runs it, wake-up, lane
 *   state, def hash, by job: the two parts of the record
 *   look       hash, by job: what its entries in `idx` begin with
 *   ids        zset by text: the jobs
 *   idx        zset by text: what jobs are looked up by, then the job (`t4:mail` + id)
 *   lanes      set: what a node must have to serve a job, with the job's priority
 *   due:<lane> zset: the jobs of a lane by when they wake, or when what hides them ends
 *   hidden     zset: claimed jobs by when that ends
 *   alarms     zset: jobs of which something is expected, by when they are overdue; before all time once that was said
 *   log        stream: the ledger, of each entry its job and a line;  trouble zset: the numbers of those that did not succeed
 *   latest     hash, by job: the numbers of its latest entries, with blanks between them;  of:<job> list: those before
 *   result     hash: return values by number;  results zset: by when they run out
 *   pruned     hash, by job: how far its history is no longer complete
 *   leases, members  hash
 *
 * Few large hashes in place of a key for each job: a batch is then read and written by a handful of commands.
 * A script checks everything before it writes anything, since nobody takes back what it wrote before an error.
 *
 * It begins by asking for two keys that never exist. While a cluster moves the slot, the keys are on one node or the other,
 * and a node that lacks one takes it for a key that does not exist: a script would find jobs gone that are on their way,
 * and stop half-way. This question is refused on both nodes for as long as that lasts, so that none begins.
 */
export const COMMON = `
local B, call, unpack, min = KEYS[1], redis.call, unpack, math.min
call('EXISTS', B .. 'none', B .. 'nor')
local function many(command, key, args)
  local n = #args
  for i = 1, n, 4000 do call(command, key, unpack(args, i, min(i + 3999, n))) end
end
local function fetch(key, fields)
  local n = #fields
  if n == 0 then return {} end
  if n <= 4000 then return call('HMGET', key, unpack(fields)) end
  local all = {}
  for i = 1, n, 4000 do
    local part = call('HMGET', key, unpack(fields, i, min(i + 3999, n)))
    for j = 1, #part do all[i + j - 1] = part[j] end
  end
  return all
end
local function parse(head)
  if not head then return nil end
  return string.match(head, '^(%S+) (%S+) (%l)(%d) (%S+) (.*)$')
end
local function push(lists, key, a, b)
  local list = lists[key]
  if not list then list = {}; lists[key] = list end
  list[#list + 1] = a
  if b then list[#list + 1] = b end
end
local function wake(lanes, epoch)
  for lane, list in pairs(lanes) do
    if call('SADD', B .. 'lanes', lane) == 1 then call('HSET', B .. 'meta', 'lanes', epoch) end
    many('ZADD', B .. 'due:' .. lane, list)
  end
end
local function add(list, value) list[#list + 1] = value end
local function prune(job, through)
  local known = call('HGET', B .. 'pruned', job)
  if not known or tonumber(known) < tonumber(through) then call('HSET', B .. 'pruned', job, through) end
end
`;

/**
 * A list, as JSON: nonce, count; of each job: id, wake-up, flags, alarm, state, definition, lane, number of look-ups, look-ups.
 * All records have one revision, and definitions of the same text have one, so that who has read one knows all. Answers 1 for each that
 * was added.
 */
export const INSERT = script(`${COMMON}
local ARGV = cjson.decode(ARGV[1])
local nonce, n, p = ARGV[1], tonumber(ARGV[2]), 3
local ids, at = {}, {}
for i = 1, n do
  ids[i], at[i] = ARGV[p], p
  p = p + 8 + tonumber(ARGV[p + 7])
end
local known, answers, seen = fetch(B .. 'head', ids), {}, {}
local heads, states, defs, looks, names, idx, due, alarms = {}, {}, {}, {}, {}, {}, {}, {}
local written = {}
for i = 1, n do
  local id = ids[i]
  if known[i] or seen[id] then answers[i] = 0 else
    answers[i], seen[id] = 1, true
    local q = at[i]
    local wakeAt, flags, alarm, lane, look = ARGV[q + 1], ARGV[q + 2], ARGV[q + 3], ARGV[q + 6], {}
    local def = written[ARGV[q + 5]]
    if not def then def = nonce .. '.' .. i; written[ARGV[q + 5]] = def end
    add(heads, id); add(heads, nonce .. ' ' .. def .. ' ' .. flags .. ' ' .. wakeAt .. ' ' .. lane)
    add(states, id); add(states, ARGV[q + 4])
    add(defs, id); add(defs, ARGV[q + 5])
    for k = 1, tonumber(ARGV[q + 7]) do
      look[k] = ARGV[q + 7 + k]
      add(idx, '0'); add(idx, look[k] .. id)
    end
    local status, running = string.sub(flags, 1, 1), string.sub(flags, 2)
    if status ~= 'a' then add(idx, '0'); add(idx, 's:' .. status .. id) end
    if running ~= '0' then add(idx, '0'); add(idx, 'r:' .. id) end
    add(looks, id); add(looks, cmsgpack.pack(look))
    add(names, '0'); add(names, id)
    if wakeAt ~= '-' then push(due, lane, wakeAt, id) end
    if alarm ~= '' and alarm ~= '-' then add(alarms, alarm); add(alarms, id) end
  end
end
many('HSET', B .. 'head', heads)
many('HSET', B .. 'state', states)
many('HSET', B .. 'def', defs)
many('HSET', B .. 'look', looks)
many('ZADD', B .. 'ids', names)
many('ZADD', B .. 'idx', idx)
many('ZADD', B .. 'alarms', alarms)
wake(due, nonce)
return answers
`);

/** ids. Answers their heads, states and definitions. */
export const READ = script(`${COMMON}
return { fetch(B .. 'head', ARGV), fetch(B .. 'state', ARGV), fetch(B .. 'def', ARGV) }
`);

/**
 * Look-up to go along ('' for all), whether to begin after an id, that id, most to look at, most to answer, statuses ('' for
 * all), then other look-ups that must be there. Answers the last id looked at, whether it was the end, ids, heads, states,
 * definitions.
 */
export const LIST = script(`${COMMON}
local prefix, after, most, limit, statuses = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local key = B .. (prefix == '' and 'ids' or 'idx')
local from = ARGV[2] == '1' and '(' .. prefix .. after or (prefix == '' and '-' or '[' .. prefix)
local to = prefix == '' and '+' or '[' .. prefix .. '\\255'
local ids = call('ZRANGEBYLEX', key, from, to, 'LIMIT', 0, most)
if prefix ~= '' then for i, id in ipairs(ids) do ids[i] = string.sub(id, #prefix + 1) end end
local known, found, heads, looked, ended = fetch(B .. 'head', ids), {}, {}, after, #ids < most
for i, id in ipairs(ids) do
  local rev, _, status = parse(known[i])
  local fits = rev and (statuses == '' or string.find(statuses, status, 1, true))
  local k = 7
  while fits and k <= #ARGV do
    fits = call('ZSCORE', B .. 'idx', ARGV[k] .. id)
    k = k + 1
  end
  looked = id
  if fits then add(found, id); add(heads, known[i]) end
  if #found == limit then ended = ended and i == #ids; break end
end
return { looked, ended and 1 or 0, found, heads, fetch(B .. 'state', found), fetch(B .. 'def', found) }
`);

/** From one task to the next along the index, however many jobs there are. */
export const TASKS = script(`${COMMON}
local names, from = {}, '[t'
while true do
  local entry = call('ZRANGEBYLEX', B .. 'idx', from, '(u', 'LIMIT', 0, 1)[1]
  if not entry then return names end
  local length, start = string.match(entry, '^t(%d+):()')
  local last = start + tonumber(length) - 1
  add(names, string.sub(entry, start, last))
  from = '[' .. string.sub(entry, 1, last) .. '\\255'
end
`);
