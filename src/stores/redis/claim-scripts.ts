import { COMMON } from './job-scripts.js';
import { script } from './link.js';

/**
 * now, end of the hiding, latest end that can be right, limit, whether definitions are wanted (`1`), or the answer as one text
 * (`0`), the lanes as they were known, whether to hide what is claimed (`1`, `0`, or empty to decide that here), node, number of
 * executors, how many runs each takes, then of each lane, the most urgent first: lane, executor, priority. Answers 0 and the
 * lanes when they have changed, else 1, whether it is hidden, until when other nodes are known to be there ('' for none), ids,
 * heads, states, definitions. In place of the last four, where it is wanted, and comes to putting texts together: a list in JSON
 * of id, head and state after one another, and of how many jobs. 0 stands for the head of the job before, and 1 for its head and its
 * state, after which none follows.
 *
 * What is claimed is hidden by waking later: it reappears by itself. A clock that was wrong, and set back, would hide for
 * long: what is hidden beyond anything that can be right is put back. A node that is the only one, and known to be there,
 * hides nothing: it knows itself what it has claimed, and a claim then writes nothing.
 */
export const CLAIM = script(`${COMMON}
local now, till, limit, epoch = ARGV[1], ARGV[2], tonumber(ARGV[4]), call('HGET', B .. 'meta', 'lanes') or 'none'
if epoch ~= ARGV[6] then return { 0, epoch, call('SMEMBERS', B .. 'lanes') } end
local hides, others = ARGV[7] == '1', ''
if ARGV[7] == '' then
  local members, isHere = call('HGETALL', B .. 'members'), false
  for i = 1, #members, 2 do
    local ends = string.match(members[i + 1], '^%S+ (%S+) ')
    if ends and tonumber(ends) > tonumber(now) then
      if members[i] == ARGV[8] then isHere = true
      elseif others == '' or tonumber(ends) > tonumber(others) then others = ends end
    end
  end
  hides = others ~= '' or not isHere
end
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
local free, executors = {}, tonumber(ARGV[9])
for i = 1, executors do free[i] = tonumber(ARGV[9 + i]) end
local p, last = 10 + executors, #ARGV
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
  -- Of one lane it does not matter when each of them wakes.
  if #group == 1 then
    local lane = group[1]
    for _, id in ipairs(call('ZRANGEBYSCORE', lane.key, '-inf', now, 'LIMIT', 0, min(limit - #ids, free[lane.executor]))) do
      ids[#ids + 1] = id
      lanes[#ids] = lane.name
      free[lane.executor] = free[lane.executor] - 1
    end
    group = {}
  end
  for _, lane in ipairs(group) do
    lane.chunk = min(limit - #ids, free[lane.executor], 16)
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
if #ids == 0 then return { 1, hides and 1 or 0, others, {}, {}, {}, {} } end
local known, found, heads = fetch(B .. 'head', ids), {}, {}
local due, hidden = {}, {}
local before, own
for i, id in ipairs(ids) do
  local head, lane = known[i], lanes[i]
  -- An entry that is not its job's is taken out. Many heads are the same.
  if head and ((head == before and lane == own) or string.sub(head, -#lane - 1) == ' ' .. lane) then
    before, own = head, lane
    add(found, id); add(heads, head)
    if hides then
      push(due, lane, till, id)
      add(hidden, till); add(hidden, id)
    end
  else
    call('ZREM', B .. 'due:' .. lane, id)
  end
end
for lane, list in pairs(due) do many('ZADD', B .. 'due:' .. lane, list) end
many('ZADD', B .. 'hidden', hidden)
local states = fetch(B .. 'state', found)
-- States are JSON already, and of the others only what has such characters would have to be written in another way.
local special = '["\\\\%c]'
if ARGV[5] == '0' and #found > 0 and not string.find(table.concat(found), special) then
  local parts, k, head, state, isPlain = {}, 0, nil, nil, true
  for i = 1, #found do
    parts[k + 1], parts[k + 2] = ',"', found[i]
    if heads[i] == head and states[i] == state then
      parts[k + 3] = '",1'
      k = k + 3
    else
      if heads[i] == head then
        parts[k + 3] = '",0,'
        k = k + 4
      else
        head = heads[i]
        if string.find(head, special) then isPlain = false break end
        parts[k + 3], parts[k + 4], parts[k + 5] = '","', head, '",'
        k = k + 6
      end
      state = states[i]
      parts[k] = state or 'null'
    end
  end
  parts[1] = '["'
  parts[k + 1] = ']'
  if isPlain then return { 1, hides and 1 or 0, others, table.concat(parts), #found } end
end
return { 1, hides and 1 or 0, others, found, heads, states, ARGV[5] == '1' and fetch(B .. 'def', found) or {} }
`);

/**
 * The lanes as they were known, how many there may be that do not count, then lanes. Answers 0 and the lanes when they have
 * changed, else 1, and of each lane the first that wake, one more than do not count: ids and when.
 */
export const NEXT = script(`${COMMON}
local epoch, first = call('HGET', B .. 'meta', 'lanes') or 'none', {}
if epoch ~= ARGV[1] then return { 0, epoch, call('SMEMBERS', B .. 'lanes') } end
for i = 3, #ARGV do
  for _, part in ipairs(call('ZRANGE', B .. 'due:' .. ARGV[i], 0, ARGV[2], 'WITHSCORES')) do add(first, part) end
end
return { 1, first }
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
