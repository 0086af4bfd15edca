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
 *   log        stream: the ledger;  of:<job> list: the numbers of its entries there;  trouble zset: those that did not succeed
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
 * Definitions of the same text have one revision, so that who has read one knows all. Answers 1 for each that was added.
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
    local wakeAt, flags, alarm, lane, rev, look = ARGV[q + 1], ARGV[q + 2], ARGV[q + 3], ARGV[q + 6], nonce .. '.' .. i, {}
    local def = written[ARGV[q + 5]]
    if not def then def = rev; written[ARGV[q + 5]] = rev end
    add(heads, id); add(heads, rev .. ' ' .. def .. ' ' .. flags .. ' ' .. wakeAt .. ' ' .. lane)
    add(states, id); add(states, ARGV[q + 4])
    add(defs, id); add(defs, ARGV[q + 5])
    for k = 1, tonumber(ARGV[q + 7]) do
      look[k] = ARGV[q + 7 + k]
      add(idx, 0); add(idx, look[k] .. id)
    end
    local status, running = string.sub(flags, 1, 1), string.sub(flags, 2)
    if status ~= 'a' then add(idx, 0); add(idx, 's:' .. status .. id) end
    if running ~= '0' then add(idx, 0); add(idx, 'r:' .. id) end
    add(looks, id); add(looks, cmsgpack.pack(look))
    add(names, 0); add(names, id)
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
 * A list, as JSON: nonce, whether history is kept, count; of each change: id, expected revision, kind, number of ledger entries, then
 *   kind `d` (delete): nothing
 *   kind `s`: wake-up, flags, alarm, state, the revision the definition must have
 *   kind `b`: wake-up, flags, alarm, state, definition, lane, number of look-ups, look-ups
 * and of each ledger entry: run, verdict, from, to, manual, at, the rest, when the result runs out, result.
 *
 * An alarm is an instant, `-` for none, and empty for none where nothing is expected of the job: then there was none before,
 * unless the definition is another one.
 *
 * A definition that is the same text as before leaves its columns alone: somebody may have written it who could not read
 * it. Answers for each change 0 when somebody else was first, else 1 and the number of the job's ledger entries.
 */
export const COMMIT = script(`${COMMON}
local ARGV = cjson.decode(ARGV[1])
local nonce, keeps, n, p = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), 4
local ids, at = {}, {}
local WIDTH = 9
for i = 1, n do
  ids[i], at[i] = ARGV[p], p
  local kind, lines = ARGV[p + 2], tonumber(ARGV[p + 3])
  if kind == 'd' then p = p + 4
  elseif kind == 's' then p = p + 9
  else p = p + 11 + tonumber(ARGV[p + 10]) end
  p = p + lines * WIDTH
end
local known, answers = fetch(B .. 'head', ids), {}
local heads, states, defs, looks, idx, due = {}, {}, {}, {}, {}, {}
local gone, unlisted, asleep, won, entries, alarms, silent = {}, {}, {}, {}, {}, {}, {}
local function unlook(id)
  local look = call('HGET', B .. 'look', id)
  if look then for _, prefix in ipairs(cmsgpack.unpack(look)) do add(unlisted, prefix .. id) end end
end
for i = 1, n do
  local id, q = ids[i], at[i]
  local rev, def, status, running, wakeAt, lane = parse(known[i])
  local kind, lines = ARGV[q + 2], tonumber(ARGV[q + 3])
  answers[i] = 0
  if rev and rev == ARGV[q + 1] and not (kind == 's' and def ~= ARGV[q + 8]) then
    answers[i] = 1
    add(won, id)
    local after
    if kind == 'd' then
      after = q + 4
      add(gone, id); add(silent, id)
      unlook(id)
      if status ~= 'a' then add(unlisted, 's:' .. status .. id) end
      if running ~= '0' then add(unlisted, 'r:' .. id) end
      if wakeAt ~= '-' then push(asleep, lane, id) end
    else
      local newWake, flags, alarm, newLane, newDef = ARGV[q + 4], ARGV[q + 5], ARGV[q + 6], lane, def
      rev = nonce .. '.' .. i
      after = q + 9
      if kind == 'b' then
        local count = tonumber(ARGV[q + 10])
        after = q + 11 + count
        if call('HGET', B .. 'def', id) ~= ARGV[q + 8] then
          newDef, newLane = rev, ARGV[q + 9]
          local look = {}
          unlook(id)
          for k = 1, count do
            look[k] = ARGV[q + 10 + k]
            add(idx, 0); add(idx, look[k] .. id)
          end
          add(looks, id); add(looks, cmsgpack.pack(look))
          add(defs, id); add(defs, ARGV[q + 8])
        end
      end
      if alarm ~= '' and alarm ~= '-' then add(alarms, alarm); add(alarms, id)
      elseif alarm == '-' or kind == 'b' then add(silent, id) end
      add(heads, id); add(heads, rev .. ' ' .. newDef .. ' ' .. flags .. ' ' .. newWake .. ' ' .. newLane)
      add(states, id); add(states, ARGV[q + 7])
      local newStatus, newRunning = string.sub(flags, 1, 1), string.sub(flags, 2)
      if newStatus ~= status then
        if status ~= 'a' then add(unlisted, 's:' .. status .. id) end
        if newStatus ~= 'a' then add(idx, 0); add(idx, 's:' .. newStatus .. id) end
      end
      if newRunning ~= running then
        if newRunning == '0' then add(unlisted, 'r:' .. id) else add(idx, 0); add(idx, 'r:' .. id) end
      end
      if wakeAt ~= '-' and (newWake == '-' or newLane ~= lane) then push(asleep, lane, id) end
      if newWake ~= '-' then push(due, newLane, newWake, id) end
    end
    for line = 0, lines - 1 do add(entries, i); add(entries, after + line * WIDTH) end
  end
end
if #won == 0 then return answers end
many('HSET', B .. 'head', heads)
many('HSET', B .. 'state', states)
many('HSET', B .. 'def', defs)
many('HSET', B .. 'look', looks)
for _, key in ipairs({ 'head', 'state', 'def', 'look' }) do many('HDEL', B .. key, gone) end
many('ZREM', B .. 'ids', gone)
many('ZREM', B .. 'hidden', won)
many('ZREM', B .. 'idx', unlisted)
many('ZADD', B .. 'idx', idx)
many('ZREM', B .. 'alarms', silent)
many('ZADD', B .. 'alarms', alarms)
for lane, list in pairs(asleep) do many('ZREM', B .. 'due:' .. lane, list) end
wake(due, nonce)
local total = #entries / 2
if total == 0 then return answers end
if not keeps then
  for k = 1, total do
    local q = entries[2 * k]
    if ARGV[q + 4] == '0' then prune(ids[entries[2 * k - 1]], ARGV[q + 3]) end
  end
  return answers
end
local seq = call('HINCRBY', B .. 'meta', 'seq', total) - total
if seq == 0 then
  -- The first entry there is, or somebody has deleted the counter.
  local last = call('XREVRANGE', B .. 'log', '+', '-', 'COUNT', 1)[1]
  if last then
    seq = tonumber(string.match(last[1], '^%d+'))
    call('HSET', B .. 'meta', 'seq', string.format('%.0f', seq + total))
  end
end
local trouble, expiries, results = {}, {}, {}
for k = 1, total do
  local i, q = entries[2 * k - 1], entries[2 * k]
  seq = seq + 1
  local number = string.format('%.0f', seq)
  call('XADD', B .. 'log', number .. '-0', 'j', ids[i], 'r', ARGV[q], 'v', ARGV[q + 1], 'f', ARGV[q + 2], 't', ARGV[q + 3], 'm', ARGV[q + 4], 'a', ARGV[q + 5], 'e', ARGV[q + 6])
  answers[i] = 1 + call('RPUSH', B .. 'of:' .. ids[i], number)
  if ARGV[q + 1] ~= 'succeeded' then add(trouble, number); add(trouble, number) end
  if ARGV[q + 8] ~= '' then
    add(results, number); add(results, ARGV[q + 8])
    add(expiries, ARGV[q + 7]); add(expiries, number)
  end
end
many('ZADD', B .. 'trouble', trouble)
many('HSET', B .. 'result', results)
many('ZADD', B .. 'results', expiries)
return answers
`);

/**
 * now, end of the hiding, latest end that can be right, limit, whether definitions are wanted, the lanes as they were
 * known, number of executors, how many runs each takes, then of each lane, the most urgent first: lane, executor,
 * priority. Answers 0 and the lanes when they have changed, else 1, ids, heads, states, definitions.
 *
 * What is claimed is hidden by waking later: it reappears by itself. A clock that was wrong, and set back, would hide for
 * long: what is hidden beyond anything that can be right is put back.
 */
export const CLAIM = script(`${COMMON}
local now, till, limit, epoch = ARGV[1], ARGV[2], tonumber(ARGV[4]), call('HGET', B .. 'meta', 'lanes') or 'none'
if epoch ~= ARGV[6] then return { 0, epoch, call('SMEMBERS', B .. 'lanes') } end
call('ZREMRANGEBYSCORE', B .. 'hidden', '-inf', now)
local wrong = call('ZRANGEBYSCORE', B .. 'hidden', '(' .. ARGV[3], '+inf', 'LIMIT', 0, 200)
if #wrong > 0 then
  local heads, due = fetch(B .. 'head', wrong), {}
  for i, id in ipairs(wrong) do
    local rev, _, _, _, wakeAt, lane = parse(heads[i])
    if rev and wakeAt ~= '-' then push(due, lane, wakeAt, id) end
  end
  wake(due, epoch)
  many('ZREM', B .. 'hidden', wrong)
end
local free, executors = {}, tonumber(ARGV[7])
for i = 1, executors do free[i] = tonumber(ARGV[7 + i]) end
local p, last = 8 + executors, #ARGV
local ids, lanes = {}, {}
local function read(lane)
  lane.rows = call('ZRANGEBYSCORE', lane.key, '-inf', now, 'WITHSCORES', 'LIMIT', lane.offset, lane.chunk)
  lane.offset = lane.offset + #lane.rows / 2
  lane.ended = #lane.rows < 2 * lane.chunk
  lane.chunk = lane.chunk * 2
  lane.at = 1
end
while p < last and #ids < limit do
  local urgency, group = ARGV[p + 2], {}
  while p < last and ARGV[p + 2] == urgency do
    local executor = tonumber(ARGV[p + 1])
    if free[executor] > 0 then add(group, { name = ARGV[p], key = B .. 'due:' .. ARGV[p], executor = executor, offset = 0 }) end
    p = p + 3
  end
  local heads = {}
  for _, lane in ipairs(group) do
    lane.chunk = min(limit - #ids, free[lane.executor], #group == 1 and limit or 16)
    read(lane)
    if #lane.rows > 0 then add(heads, lane) end
  end
  while #ids < limit do
    local best, least
    for _, lane in ipairs(heads) do
      if free[lane.executor] > 0 then
        if lane.at > #lane.rows and not lane.ended then read(lane) end
        local score = tonumber(lane.rows[lane.at + 1])
        if score and (not best or score < least) then best, least = lane, score end
      end
    end
    if not best then break end
    add(ids, best.rows[best.at])
    lanes[#ids] = best.name
    best.at = best.at + 2
    free[best.executor] = free[best.executor] - 1
  end
end
if #ids == 0 then return { 1, {}, {}, {}, {} } end
local known, found, heads = fetch(B .. 'head', ids), {}, {}
local due, hidden = {}, {}
for i, id in ipairs(ids) do
  local head, lane = known[i], lanes[i]
  -- An entry that is not its job's is taken out.
  if head and string.sub(head, -#lane - 1) == ' ' .. lane then
    add(found, id); add(heads, head)
    push(due, lane, till, id)
    add(hidden, till); add(hidden, id)
  else
    call('ZREM', B .. 'due:' .. lane, id)
  end
end
for lane, list in pairs(due) do many('ZADD', B .. 'due:' .. lane, list) end
many('ZADD', B .. 'hidden', hidden)
return { 1, found, heads, fetch(B .. 'state', found), ARGV[5] == '1' and fetch(B .. 'def', found) or {} }
`);

/** The lanes as they were known, then lanes. Answers 0 and the lanes when they have changed, else 1 and the earliest wake-up. */
export const NEXT = script(`${COMMON}
local epoch, earliest, least = call('HGET', B .. 'meta', 'lanes') or 'none', false, math.huge
if epoch ~= ARGV[1] then return { 0, epoch, call('SMEMBERS', B .. 'lanes') } end
for i = 2, #ARGV do
  local score = call('ZRANGE', B .. 'due:' .. ARGV[i], 0, 0, 'WITHSCORES')[2]
  if score and tonumber(score) < least then earliest, least = score, tonumber(score) end
end
return { 1, earliest }
`);

/** Answers each lane in which something wakes, and when it does first. */
export const DEMANDS = script(`${COMMON}
local answer = {}
for _, lane in ipairs(call('SMEMBERS', B .. 'lanes')) do
  local score = call('ZRANGE', B .. 'due:' .. lane, 0, 0, 'WITHSCORES')[2]
  if score then add(answer, lane); add(answer, score) end
end
return answer
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
