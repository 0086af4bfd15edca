import { COMMON } from './job-scripts.js';
import { script } from './link.js';

/** Bytes of the latest numbers of a job from which on they go to its list: about eight of them, so that one command serves as many runs. */
const LONGEST_LATEST = 56;

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
 * Notes the entry of a job: it goes to the text of the latest ones, and what was there to the list, all at once, when it has become
 * long. Answers the text, and how many the list has then, or 0 where it is as it was.
 */
const LATEST = `
local function note(id, latest, number)
  if not latest then return number, 0 end
  if #latest < ${LONGEST_LATEST} then return latest .. ' ' .. number, 0 end
  local key, numbers = B .. 'of:' .. id, {}
  for one in string.gmatch(latest, '%d+') do add(numbers, one) end
  local last, listed, count = call('LINDEX', key, -1), 0, #numbers
  -- What a release wrote meanwhile that knows the list only.
  while last and count > 0 and tonumber(last) > tonumber(numbers[1]) do
    add(numbers, call('RPOP', key))
    last = call('LINDEX', key, -1)
  end
  if #numbers > count then table.sort(numbers, function(a, b) return tonumber(a) < tonumber(b) end) end
  for i = 1, #numbers, 4000 do listed = call('RPUSH', key, unpack(numbers, i, min(i + 3999, #numbers))) end
  return number, listed
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
 * it. Answers for each change 0 when somebody else was first, else 1 and the number of the job's ledger entries where it is
 * counted, which it is from time to time.
 */
export const COMMIT = script(`${COMMON}${NUMBERS}${LATEST}
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
local trouble, expiries, results, latest, jobs = {}, {}, {}, {}, {}
for k = 1, total do
  local id = ids[entries[2 * k - 1]]
  if latest[id] == nil then
    latest[id] = call('HGET', B .. 'latest', id)
    add(jobs, id)
  end
end
for k = 1, total do
  local i, q = entries[2 * k - 1], entries[2 * k]
  local id, number, listed = ids[i], string.format('%d', seq + k), nil
  call('XADD', B .. 'log', number, id, ARGV[q])
  latest[id], listed = note(id, latest[id], number)
  if listed > 0 then answers[i] = 1 + listed end
  if ARGV[q + 1] ~= 'succeeded' then add(trouble, number); add(trouble, number) end
  if ARGV[q + 5] ~= '' then
    add(results, number); add(results, ARGV[q + 5])
    add(expiries, ARGV[q + 4]); add(expiries, number)
  end
end
local noted = {}
for _, id in ipairs(jobs) do add(noted, id); add(noted, latest[id]) end
many('HSET', B .. 'latest', noted)
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
 * How many, number of a job's entries above which it is told (`-` where there are no ledger entries), kinds of columns after that
 * of the ids; columns, with a zero after each text, of which an empty one is the same as the one before: ids, and then such as are lists
 * (kind `n`), or one text where it is that of all (`1`): what the heads that they must have begin with, what the new ones do, wake-ups,
 * lanes, marks (`+` begins to run, `-` no longer does), states, and where there are ledger entries, whether the ledger has it among
 * what did not succeed, and lines. Answers the places of those that somebody else was first with, and of those whose entries are
 * too many.
 *
 * Lua hashes each text from beginning to end, so that bytes are what counts; to find the zero after one costs next to nothing.
 */
export const COMMIT_PLAIN = script(`${COMMON}${NUMBERS}${LATEST}
local count, above, kinds = string.match(ARGV[1], '^(%d+) (%S+) (%S+)$')
local texts, at, n, sub = ARGV[2], 1, tonumber(count), string.sub
local function split()
  local list = { struct.unpack(string.rep('s', n), texts, at) }
  at = list[n + 1]
  list[n + 1] = nil
  return list
end
local D, logs = { split() }, above ~= '-'
for k = 1, #kinds do
  local list = {}
  if sub(kinds, k, k) == 'n' then
    list = split()
    for i = 2, n do if list[i] == '' then list[i] = list[i - 1] end end
  else
    local all
    all, at = struct.unpack('s', texts, at)
    for i = 1, n do list[i] = all end
  end
  D[k + 1] = list
end
local known, lost, places = fetch(B .. 'head', D[1]), {}, nil
local found, expected
for i = 1, n do
  local head, begins = known[i], D[2][i]
  -- Mostly the same as of the one before.
  if head ~= found or begins ~= expected then
    if head and sub(head, 1, #begins + 1) == begins .. ' ' then found, expected = head, begins else lost[#lost + 1] = i end
  end
end
if #lost == n then return { lost, {} } end
if #lost > 0 then
  local isLost = {}
  places = {}
  for _, i in ipairs(lost) do isLost[i] = true end
  for i = 1, n do if not isLost[i] then add(places, i) end end
  for k = 1, #D do
    local some = {}
    for i, place in ipairs(places) do some[i] = D[k][place] end
    D[k] = some
  end
  n = #places
end
local ids, begins, wakes, lanes, marks, states, troubles, lines = D[1], D[3], D[4], D[5], D[6], D[7], D[8], D[9]
local flat, k = {}, 0
local first, wake1, lane1, head
for i = 1, n do
  if begins[i] ~= first or wakes[i] ~= wake1 or lanes[i] ~= lane1 then
    first, wake1, lane1 = begins[i], wakes[i], lanes[i]
    head = first .. ' ' .. wake1 .. ' ' .. lane1
  end
  flat[k + 1], flat[k + 2] = ids[i], head
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
wake(due, string.match(begins[1], '^%S+'))
if not logs then return { lost, {} } end
local seq, log, latest, trouble, grown = reserve(n), B .. 'log', fetch(B .. 'latest', ids), {}, {}
local most, format = tonumber(above), string.format
for i = 1, n do
  local id, number, listed = ids[i], format('%d', seq + i), nil
  call('XADD', log, number, id, lines[i])
  flat[2 * i], listed = note(id, latest[i], number)
  if listed > most then add(grown, places and places[i] or i) end
  if troubles[i] == '1' then add(trouble, number); add(trouble, number) end
end
many('HSET', B .. 'latest', flat)
many('ZADD', B .. 'trouble', trouble)
return { lost, grown }
`);
