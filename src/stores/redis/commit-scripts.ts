import { COMMON } from './job-scripts.js';
import { script } from './link.js';

/** Numbers for so many lines of the ledger. Answers the one before the first. */
const NUMBERS = `
local function reserve(total)
  local seq = call('HINCRBY', B .. 'meta', 'seq', total) - total
  if seq > 0 then return seq end
  -- The first entry there is, or somebody has deleted the counter.
  local last = call('XREVRANGE', B .. 'log', '+', '-', 'COUNT', 1)[1]
  if not last then return seq end
  seq = tonumber(string.match(last[1], '^%d+'))
  call('HSET', B .. 'meta', 'seq', string.format('%.0f', seq + total))
  return seq
end
`;

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
export const COMMIT = script(`${COMMON}${NUMBERS}
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
            add(idx, '0'); add(idx, look[k] .. id)
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
        if newStatus ~= 'a' then add(idx, '0'); add(idx, 's:' .. newStatus .. id) end
      end
      if newRunning ~= running then
        if newRunning == '0' then add(unlisted, 'r:' .. id) else add(idx, '0'); add(idx, 'r:' .. id) end
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
local seq = reserve(total)
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
 * The same for plain changes, which most are: only state, wake-up and running are others, and each has one ledger entry, or
 * none has. What each of them was like before is known to the caller, who has the head as it was: nothing is worked out here
 * for single jobs, and no head is taken apart.
 *
 * Columns, as JSON; heads they must have; states; the rest of the ledger entries. The last three are texts with a line for
 * each change, which costs less than to read each from JSON: no such text has a line break. The columns: ids, heads, and then
 * such as are lists, or one text where it is that of all: wake-ups, lanes, marks (\`+\` begins to run, \`-\` no longer does); for
 * ledger entries: number of a job's entries above which it is told, runs, verdicts, from, to, manual, at. Answers the places
 * of those that somebody else was first with, and of those whose entries are too many.
 */
export const COMMIT_PLAIN = script(`${COMMON}${NUMBERS}
local find, sub = string.find, string.sub
local function split(text)
  local list, from, n = {}, 1, 0
  while true do
    local at = find(text, '\\n', from, true)
    n = n + 1
    if not at then
      list[n] = sub(text, from)
      return list
    end
    list[n] = sub(text, from, at - 1)
    from = at + 1
  end
end
local D = cjson.decode(ARGV[1])
local ids, states, rests = D[1], split(ARGV[3]), ARGV[4] and split(ARGV[4])
local n, known, lost, places = #ids, fetch(B .. 'head', ids), {}, nil
-- One comparison for all of them. What is missing cannot be put together.
local isWhole, found = pcall(table.concat, known, '\\n')
if not isWhole or found ~= ARGV[2] then
  local expected = split(ARGV[2])
  places = {}
  for i = 1, n do add(known[i] == expected[i] and places or lost, i) end
  if #places == 0 then return { lost, {} } end
  local function left(list)
    if type(list) ~= 'table' then return list end
    local some = {}
    for i, place in ipairs(places) do some[i] = list[place] end
    return some
  end
  for k = 1, #D do D[k] = left(D[k]) end
  ids, states, rests, n = D[1], left(states), left(rests), #places
end
local function column(k)
  local all = D[k]
  if type(all) == 'table' then return all end
  local list = {}
  for i = 1, n do list[i] = all end
  return list
end
local heads, wakes, lanes, marks = D[2], column(3), column(4), column(5)
local flat, k = {}, 0
for i = 1, n do
  flat[k + 1], flat[k + 2] = ids[i], heads[i]
  k = k + 2
end
many('HSET', B .. 'head', flat)
for i = 1, n do flat[2 * i] = states[i] end
many('HSET', B .. 'state', flat)
if call('EXISTS', B .. 'hidden') == 1 then many('ZREM', B .. 'hidden', ids) end
local idx, unlisted, due, asleep = {}, {}, {}, {}
local lane, list
for i = 1, n do
  local id, mark = ids[i], marks[i]
  if mark == '+' then add(idx, '0'); add(idx, 'r:' .. id)
  elseif mark == '-' then add(unlisted, 'r:' .. id) end
  if wakes[i] == '-' then push(asleep, lanes[i], id)
  else
    if lanes[i] ~= lane then
      lane = lanes[i]
      list = due[lane] or {}
      due[lane] = list
    end
    add(list, wakes[i]); add(list, id)
  end
end
many('ZREM', B .. 'idx', unlisted)
many('ZADD', B .. 'idx', idx)
for name, sleepers in pairs(asleep) do many('ZREM', B .. 'due:' .. name, sleepers) end
wake(due, string.match(heads[1], '^%S+'))
if not rests then return { lost, {} } end
local above, runs, verdicts, froms, tos, manuals, ats = tonumber(D[6]), column(7), column(8), column(9), column(10), column(11), column(12)
local seq, log, of, trouble, grown = reserve(n), B .. 'log', B .. 'of:', {}, {}
for i = 1, n do
  local id, number = ids[i], string.format('%.0f', seq + i)
  call('XADD', log, number, 'j', id, 'r', runs[i], 'v', verdicts[i], 'f', froms[i], 't', tos[i], 'm', manuals[i], 'a', ats[i], 'e', rests[i])
  if call('RPUSH', of .. id, number) > above then add(grown, places and places[i] or i) end
  if verdicts[i] ~= 'succeeded' then add(trouble, number); add(trouble, number) end
end
many('ZADD', B .. 'trouble', trouble)
return { lost, grown }
`);
