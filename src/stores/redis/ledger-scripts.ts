import { COMMON } from './job-scripts.js';
import { script } from './link.js';

/**
 * The job of an entry and its line, which begins with verdict, first and last fire time, whether somebody asked for it, and when
 * it fell. Releases that knew version 1 of the schema had a field for each.
 */
const LINE = `
local function line(entry)
  local fields = entry[2]
  if #fields == 2 then return fields[1], fields[2] end
  return fields[2], table.concat({ fields[6], fields[8], fields[10], fields[12], fields[14], '[' .. cjson.encode(fields[4]) .. ',' .. string.sub(fields[16], 2) }, ' ')
end
`;

/** The numbers of a job's entries, by their places: those of its list, and after them the latest. */
const NUMBERS_OF = `
local function numbersOf(job)
  local key, latest = B .. 'of:' .. job, {}
  for number in string.gmatch(call('HGET', B .. 'latest', job) or '', '%d+') do add(latest, number) end
  local listed = call('LLEN', key)
  if listed > 0 and #latest > 0 and tonumber(call('LINDEX', key, -1)) > tonumber(latest[1]) then
    -- A release that knows the list only has written meanwhile. With the next numbers for the list they come into order.
    local all = call('LRANGE', key, 0, -1)
    for _, number in ipairs(latest) do add(all, number) end
    table.sort(all, function(a, b) return tonumber(a) < tonumber(b) end)
    latest, listed = all, 0
  end
  local count = listed + #latest
  local function slice(from, to)
    local some = from < listed and call('LRANGE', key, from, min(to, listed - 1)) or {}
    for i = math.max(from, listed), min(to, count - 1) do add(some, latest[i - listed + 1]) end
    return some
  end
  return { count = count, slice = slice }
end
`;

/** Takes lines out of the ledger, and notes that they were there. `lines` are the numbers. `forget` takes them out of what is known of a job. */
const DROP = `${COMMON}${LINE}
local function drop(lines)
  local through = {}
  for _, number in ipairs(lines) do
    local entry = call('XRANGE', B .. 'log', number .. '-0', number .. '-0')[1]
    if entry then
      local job, text = line(entry)
      local to = string.match(text, '^%S+ %S+ (%S+) 0 ')
      if to and (not through[job] or tonumber(through[job]) < tonumber(to)) then through[job] = to end
    end
  end
  for job, to in pairs(through) do prune(job, to) end
  many('XDEL', B .. 'log', lines)
  many('ZREM', B .. 'trouble', lines)
  many('ZREM', B .. 'results', lines)
  many('HDEL', B .. 'result', lines)
end
-- Of the latest numbers of a job all after the first so many.
local function keep(job, latest, from)
  local rest = table.concat(latest, ' ', from + 1)
  if rest == '' then call('HDEL', B .. 'latest', job) else call('HSET', B .. 'latest', job, rest) end
end
local function forget(job, numbers)
  local text, isGone, latest, found = call('HGET', B .. 'latest', job) or '', {}, {}, 0
  for _, number in ipairs(numbers) do isGone[number] = true end
  for number in string.gmatch(text, '%d+') do
    if isGone[number] then isGone[number], found = nil, found + 1 else add(latest, number) end
  end
  if found > 0 then keep(job, latest, 0) end
  if found == #numbers then return end
  for _, number in ipairs(numbers) do if isGone[number] then call('LREM', B .. 'of:' .. job, 1, number) end end
end
`;

/**
 * Where to look (`log`, `trouble`, or `of:` and a job), whether the newest come first, the number to begin after (''),
 * most to look at, most to answer, run ('' for all), verdicts between commas ('' for all), from, to, what the JSON of a
 * line begins with that names the run. Answers the number last looked at, whether it was the end, and of each entry its number,
 * job, line and result.
 */
export const LINES = script(`${COMMON}${LINE}${NUMBERS_OF}
local source, newest, after, most, limit = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local run, verdicts, from, to = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local entries, looked, ended = {}, after, false
if source == 'log' then
  if newest then entries = call('XREVRANGE', B .. 'log', after == '' and '+' or '(' .. after .. '-0', '-', 'COUNT', most)
  else entries = call('XRANGE', B .. 'log', after == '' and '-' or '(' .. after .. '-0', '+', 'COUNT', most) end
  ended = #entries < most
else
  local numbers
  if source == 'trouble' then
    if newest then numbers = call('ZREVRANGEBYSCORE', B .. source, after == '' and '+inf' or '(' .. after, '-inf', 'LIMIT', 0, most)
    else numbers = call('ZRANGEBYSCORE', B .. source, after == '' and '-inf' or '(' .. after, '+inf', 'LIMIT', 0, most) end
    ended = #numbers < most
  else
    -- The numbers of a job only grow: the place to go on is found by halves.
    local of = numbersOf(string.sub(source, 4))
    local count = of.count
    local low, high = 0, count
    local bound = tonumber(after)
    while bound and low < high do
      local middle = math.floor((low + high) / 2)
      local number = tonumber(of.slice(middle, middle)[1])
      if number < bound or (number == bound and not newest) then low = middle + 1 else high = middle end
    end
    if newest then
      local last = bound and low - 1 or count - 1
      numbers = {}
      if last >= 0 then
        local list = of.slice(math.max(0, last - most + 1), last)
        for i = #list, 1, -1 do numbers[#numbers + 1] = list[i] end
      end
      ended = last - most < 0
    else
      numbers = of.slice(low, low + most - 1)
      ended = low + most >= count
    end
  end
  for i, number in ipairs(numbers) do
    entries[i] = call('XRANGE', B .. 'log', number .. '-0', number .. '-0')[1] or { number .. '-0' }
  end
end
local answer = { looked, 1 }
local found = 0
for i, entry in ipairs(entries) do
  looked = string.match(entry[1], '^%d+')
  local job, text, verdict, first, last, rest
  if entry[2] then
    job, text = line(entry)
    verdict, first, last, rest = string.match(text, '^(%S+) (%S+) (%S+) %S+ %S+ (.*)$')
  end
  local function isOfRun()
    if run == '' or string.sub(rest, 1, #ARGV[10]) == ARGV[10] then return true end
    if string.sub(rest, 1, 3) == '[0,' then return job .. '@' .. first == run end
    return #entry[2] > 2 and entry[2][4] == run
  end
  if verdict and isOfRun() and (verdicts == '' or string.find(verdicts, ',' .. verdict .. ',', 1, true))
    and (not from or tonumber(last) >= from) and (not to or tonumber(first) <= to) then
    add(answer, looked); add(answer, job); add(answer, text)
    add(answer, call('HGET', B .. 'result', looked) or '')
    found = found + 1
    if found == limit then ended = ended and i == #entries; break end
  end
end
answer[1], answer[2] = looked, ended and 1 or 0
return answer
`);

/** job. Answers up to when its history is not complete, and that of all that are gone. */
export const PRUNED = script(`${COMMON}
return { call('HGET', B .. 'pruned', ARGV[1]), call('HGET', B .. 'pruned', '') }
`);

/** job, how many to keep, most to drop. Answers how many were dropped. */
export const PRUNE_JOB = script(`${DROP}
local job, key, latest = ARGV[1], B .. 'of:' .. ARGV[1], {}
for number in string.gmatch(call('HGET', B .. 'latest', job) or '', '%d+') do add(latest, number) end
local listed = call('LLEN', key)
local over = min(listed + #latest - tonumber(ARGV[2]), tonumber(ARGV[3]))
if over <= 0 then return 0 end
local numbers = listed > 0 and call('LPOP', key, min(over, listed)) or {}
if over > #numbers then
  for i = 1, over - #numbers do add(numbers, latest[i]) end
  keep(job, latest, over - listed)
end
drop(numbers)
return over
`);

/** Drops what fell before an instant, of the oldest so many. Answers how many were dropped. */
export const DROP_OLD = script(`${DROP}
local before, lines, of = tonumber(ARGV[1]), {}, {}
for _, entry in ipairs(call('XRANGE', B .. 'log', '-', '+', 'COUNT', ARGV[2])) do
  local job, text = line(entry)
  if tonumber(string.match(text, '^%S+ %S+ %S+ %S+ (%S+)')) < before then
    local number = string.match(entry[1], '^%d+')
    add(lines, number)
    push(of, job, number)
  end
end
for job, numbers in pairs(of) do forget(job, numbers) end
if #lines > 0 then drop(lines) end
return #lines
`);

/** Drops results that have run out by now, at most so many. Answers how many. */
export const EXPIRE = script(`${COMMON}
local lines = call('ZRANGEBYSCORE', B .. 'results', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
many('HDEL', B .. 'result', lines)
many('ZREM', B .. 'results', lines)
return #lines
`);
