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
 * and of each ledger entry: line, verdict, last fire time, manual, when the result runs out, result.
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
local WIDTH = 6
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
    if ARGV[q + 3] == '0' then prune(ids[entries[2 * k - 1]], ARGV[q + 2]) end
  end
  return answers
end
local seq = reserve(total)
local trouble, expiries, results = {}, {}, {}
for k = 1, total do
  local i, q = entries[2 * k - 1], entries[2 * k]
  seq = seq + 1
  local number = string.format('%.0f', seq)
  call('XADD', B .. 'log', number .. '-0', ids[i], ARGV[q])
  answers[i] = 1 + call('RPUSH', B .. 'of:' .. ids[i], number)
  if ARGV[q + 1] ~= 'succeeded' then add(trouble, number); add(trouble, number) end
  if ARGV[q + 5] ~= '' then
    add(results, number); add(results, ARGV[q + 5])
    add(expiries, ARGV[q + 4]); add(expiries, number)
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
 * How many, number of a job's entries above which it is told (`-` where there are no ledger entries), kinds of columns; heads
 * they must have, with zeros between them; columns, with a zero after each text: ids, heads, states, lines of the ledger where
 * there are any, and then such as are lists (kind `n`), or one text where it is that of all (`1`): wake-ups, lanes, marks (`+`
 * begins to run, `-` no longer does), whether the ledger has it among what did not succeed. Answers the places of those that
 * somebody else was first with, and of those whose entries are too many.
 *
 * Lua hashes each text from beginning to end, so that bytes are what counts; to find the zero after one costs next to nothing.
 */
export const COMMIT_PLAIN = script(`${COMMON}${NUMBERS}
local count, above, kinds = string.match(ARGV[1], '^(%d+) (%S+) (%S+)$')
local texts, at, n = ARGV[3], 1, tonumber(count)
local function split(text, from)
  local list = { struct.unpack(string.rep('s', n), text, from) }
  at = list[n + 1]
  list[n + 1] = nil
  return list
end
local D, logs = { split(texts, at), split(texts, at), split(texts, at) }, above ~= '-'
if logs then D[4] = split(texts, at) end
for k = 1, #kinds do
  if string.sub(kinds, k, k) == 'n' then D[#D + 1] = split(texts, at)
  else
    local all, list = nil, {}
    all, at = struct.unpack('s', texts, at)
    for i = 1, n do list[i] = all end
    D[#D + 1] = list
  end
end
local known, lost, places = fetch(B .. 'head', D[1]), {}, nil
-- One comparison for all of them. What is missing cannot be put together.
local isWhole, found = pcall(table.concat, known, '\\0')
if not isWhole or found ~= ARGV[2] then
  local expected = split(ARGV[2] .. '\\0', 1)
  places = {}
  for i = 1, n do add(known[i] == expected[i] and places or lost, i) end
  if #places == 0 then return { lost, {} } end
  for k = 1, #D do
    local some = {}
    for i, place in ipairs(places) do some[i] = D[k][place] end
    D[k] = some
  end
  n = #places
end
local ids, heads, states, lines = D[1], D[2], D[3], logs and D[4]
local p = logs and 5 or 4
local wakes, lanes, marks, troubles = D[p], D[p + 1], D[p + 2], D[p + 3]
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
local lane, list, last, begun = nil, nil, 0, 0
for i = 1, n do
  local id, mark, own = ids[i], marks[i], lanes[i]
  if mark == '+' then
    idx[begun + 1], idx[begun + 2] = '0', 'r:' .. id
    begun = begun + 2
  elseif mark == '-' then unlisted[#unlisted + 1] = 'r:' .. id end
  if wakes[i] == '-' then push(asleep, own, id)
  else
    if own ~= lane then
      lane = own
      list = due[lane] or {}
      due[lane], last = list, #list
    end
    list[last + 1], list[last + 2] = wakes[i], id
    last = last + 2
  end
end
many('ZREM', B .. 'idx', unlisted)
many('ZADD', B .. 'idx', idx)
for name, sleepers in pairs(asleep) do many('ZREM', B .. 'due:' .. name, sleepers) end
wake(due, string.match(heads[1], '^%S+'))
if not logs then return { lost, {} } end
local seq, log, of, trouble, grown = reserve(n), B .. 'log', B .. 'of:', {}, {}
local most, format = tonumber(above), string.format
for i = 1, n do
  local id, number = ids[i], format('%.0f', seq + i)
  call('XADD', log, number, id, lines[i])
  if call('RPUSH', of .. id, number) > most then add(grown, places and places[i] or i) end
  if troubles[i] == '1' then add(trouble, number); add(trouble, number) end
end
many('ZADD', B .. 'trouble', trouble)
return { lost, grown }
`);
