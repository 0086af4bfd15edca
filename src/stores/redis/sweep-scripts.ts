import { COMMON } from './job-scripts.js';
import { script } from './link.js';

/** now, how often. Answers 1 for the one that is to go through everything, and notes that it does. */
export const BEGIN = script(`${COMMON}
local now, last = tonumber(ARGV[1]), tonumber(call('HGET', B .. 'meta', 'sweep') or '-inf')
if last <= now and now < last + tonumber(ARGV[2]) then return 0 end
call('HSET', B .. 'meta', 'sweep', ARGV[1])
return 1
`);

/** Nonce. Takes out lanes in which nothing wakes any more. Answers those that are left. */
export const SWEEP_LANES = script(`${COMMON}
local left, empty = {}, {}
for _, lane in ipairs(call('SMEMBERS', B .. 'lanes')) do
  add(call('EXISTS', B .. 'due:' .. lane) == 1 and left or empty, lane)
end
if #empty > 0 then
  many('SREM', B .. 'lanes', empty)
  call('HSET', B .. 'meta', 'lanes', ARGV[1])
end
return left
`);

/** Cursor, how many, nonce. Puts records into the indexes in which they are missing. Answers the next cursor and how many were mended. */
export const MEND_RECORDS = script(`${COMMON}
local page = call('HSCAN', B .. 'head', ARGV[1], 'COUNT', ARGV[2])
local ids, heads, lanes, mended = {}, {}, {}, 0
for i = 1, #page[2], 2 do
  add(ids, page[2][i]); add(heads, page[2][i + 1])
end
if #ids == 0 then return { page[1], 0 } end
local looks, names, entries = fetch(B .. 'look', ids), {}, {}
for i, id in ipairs(ids) do
  local rev, _, status, running, wakeAt, lane = parse(heads[i])
  if rev then
    for _, prefix in ipairs(looks[i] and cmsgpack.unpack(looks[i]) or {}) do add(entries, prefix .. id) end
    if status ~= 'a' then add(entries, 's:' .. status .. id) end
    if running ~= '0' then add(entries, 'r:' .. id) end
    if wakeAt ~= '-' then push(lanes, lane, wakeAt, id) end
  end
end
local function missing(key, members)
  local scores, absent = {}, {}
  for i = 1, #members, 4000 do
    local part = call('ZMSCORE', key, unpack(members, i, min(i + 3999, #members)))
    for j = 1, #part do scores[i + j - 1] = part[j] end
  end
  for i, member in ipairs(members) do if not scores[i] then absent[member] = true; mended = mended + 1 end end
  return absent
end
for id in pairs(missing(B .. 'ids', ids)) do add(names, 0); add(names, id) end
local idx = {}
if #entries > 0 then for entry in pairs(missing(B .. 'idx', entries)) do add(idx, 0); add(idx, entry) end end
for lane, list in pairs(lanes) do
  local sleepers, due = {}, {}
  for i = 2, #list, 2 do add(sleepers, list[i]) end
  local absent = missing(B .. 'due:' .. lane, sleepers)
  for i = 1, #list, 2 do
    if absent[list[i + 1]] then add(due, list[i]); add(due, list[i + 1]) end
  end
  wake({ [lane] = due }, ARGV[3])
end
many('ZADD', B .. 'ids', names)
many('ZADD', B .. 'idx', idx)
return { page[1], mended }
`);

/** Cursor, how many. Takes out of the list of jobs what is no job. */
export const MEND_IDS = script(`${COMMON}
local page, ids, gone = call('ZSCAN', B .. 'ids', ARGV[1], 'COUNT', ARGV[2]), {}, {}
for i = 1, #page[2], 2 do add(ids, page[2][i]) end
local heads = fetch(B .. 'head', ids)
for i, id in ipairs(ids) do if not heads[i] then add(gone, id) end end
many('ZREM', B .. 'ids', gone)
return { page[1], #gone }
`);

/** Cursor, how many. Takes out look-ups that are not their job's. */
export const MEND_LOOKS = script(`${COMMON}
local page, entries, ids, gone = call('ZSCAN', B .. 'idx', ARGV[1], 'COUNT', ARGV[2]), {}, {}, {}
for i = 1, #page[2], 2 do
  local entry = page[2][i]
  local kind, length, start = string.match(entry, '^([tgok])(%d+):()')
  add(entries, entry)
  if kind then add(ids, string.sub(entry, start + tonumber(length)))
  elseif string.sub(entry, 1, 2) == 's:' then add(ids, string.sub(entry, 4))
  else add(ids, string.sub(entry, 3)) end
end
local heads, looks = fetch(B .. 'head', ids), fetch(B .. 'look', ids)
for i, entry in ipairs(entries) do
  local rev, _, status, running = parse(heads[i])
  local prefix, fits = string.sub(entry, 1, #entry - #ids[i]), false
  if rev then
    if prefix == 'r:' then fits = running ~= '0'
    elseif prefix == 's:' .. status then fits = true
    elseif looks[i] then
      for _, one in ipairs(cmsgpack.unpack(looks[i])) do fits = fits or one == prefix end
    end
  end
  if not fits then add(gone, entry) end
end
many('ZREM', B .. 'idx', gone)
return { page[1], #gone }
`);

/** Cursor, how many, lane. Takes out of a lane what is not of it, and puts right when the others wake. */
export const MEND_DUE = script(`${COMMON}
local lane = ARGV[3]
local key = B .. 'due:' .. lane
local page, ids, scores, gone, right = call('ZSCAN', key, ARGV[1], 'COUNT', ARGV[2]), {}, {}, {}, {}
for i = 1, #page[2], 2 do add(ids, page[2][i]); add(scores, tonumber(page[2][i + 1])) end
local heads = fetch(B .. 'head', ids)
for i, id in ipairs(ids) do
  local rev, _, _, _, wakeAt, own = parse(heads[i])
  if not rev or own ~= lane or wakeAt == '-' then add(gone, id)
  elseif tonumber(wakeAt) ~= scores[i] and not call('ZSCORE', B .. 'hidden', id) then add(right, wakeAt); add(right, id) end
end
many('ZADD', key, right)
many('ZREM', key, gone)
return { page[1], #gone }
`);

/** Cursor, how many, before when. Makes of notes on jobs of which nothing is left one note for all. */
export const MERGE_NOTES = script(`${COMMON}
local page, latest, gone = call('HSCAN', B .. 'pruned', ARGV[1], 'COUNT', ARGV[2]), nil, {}
for i = 1, #page[2], 2 do
  local job, through = page[2][i], page[2][i + 1]
  if job ~= '' and tonumber(through) < tonumber(ARGV[3]) and call('HEXISTS', B .. 'head', job) == 0
    and call('HEXISTS', B .. 'latest', job) == 0 and call('EXISTS', B .. 'of:' .. job) == 0 then
    add(gone, job)
    if not latest or tonumber(through) > tonumber(latest) then latest = through end
  end
end
if latest then prune('', latest) end
many('HDEL', B .. 'pruned', gone)
return { page[1], 0 }
`);
