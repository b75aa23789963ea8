-- breaker_order.lua: take an operator's order about a breaker that the fleet shares.
-- Twin, line for line where possible: domain/breaker Fleet.Order. The fields and the
-- records are described in breaker_step.lua, which keeps the order from then on.
--
-- KEYS[1]  hash of one breaker; its name is also the channel of its transitions
-- KEYS[2]  stream of its records
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- ARGV[3]  heal 0|1: start afresh if what is there cannot be read
-- ARGV[4]  serial of an order that is brought again; 0 = a new one
-- ARGV[5]  force: 0 none | 1 open | 2 closed | 3 disabled | 4 metrics only
-- ARGV[6]  reset 0|1: begin afresh, closed
-- ARGV[7]  for how long, µs
-- ARGV[8]  who            ARGV[9]  why
-- Returns  {1, now µs, state of the answer, …}, that state being
--          0 = decided, and then: serial of the order that stands
--          1 = unreadable | 2 = of a newer schema | 3 = too late | 4 = serial too far ahead
-- All numbers are integers below 2^53. Nothing is written before everything is decided.
local AHEAD, DAYS, RECORDS, BIG = 86400000000, 604800000, '256', 9007199254740991
local COUNTERS = {'y', 's', 'l', 'g', 'nb', 'wb', 'wa', 'nr', 'na', 'ns', 'nx', 'k', 'a', 'b'}
local LONGEST = 315360000000000 -- ten years, µs

local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 3}
end

-- int reads an integer from 0 to 2^53; else nil, as for NaN and infinity.
local function int(text)
  if not text or #text > 16 or not string.match(text, '^%d+$') then
    return nil
  end
  local n = tonumber(text)
  return n <= BIG and n or nil
end

local h = redis.pcall('HMGET', KEYS[1], 'p', 'e', 'x', 's', 'l', 'o')
if h.err then
  if not string.find(h.err, 'WRONGTYPE', 1, true) then
    return redis.error_reply(h.err)
  end
  if ARGV[3] ~= '1' then
    return {1, now, 1}
  end
  redis.call('DEL', KEYS[1])
  h = {}
end
local schema = int(string.match(h[1] or '', '^(%d+):'))
if schema and schema > 1 then
  return {1, now, 2}
end

local stands = int(string.match(h[6] or '', '^(%d+):%d:[01]:%d+:%d+$')) or 0
local serial = tonumber(ARGV[4])
if serial == 0 then
  serial = math.max(now, stands + 1)
elseif serial > now + AHEAD then
  return {1, now, 4}
elseif serial <= stands then
  return {1, now, 0, stands}
end

local lasts = math.max(math.min(tonumber(ARGV[7]), LONGEST), 0)
local put = {
  'o', string.format('%.0f:', serial) .. ARGV[5] .. ':' .. ARGV[6] .. string.format(':%.0f:%.0f', now, lasts),
  'ob', ARGV[8], 'or', ARGV[9],
}
local function set(field, value)
  put[#put + 1] = field
  put[#put + 1] = value
end

local epoch, state, life = int(h[2]) or 0, h[4] or '0', int(h[5]) or 0
if ARGV[6] == '1' and epoch > 0 then
  epoch, state, life = math.max(now, epoch + 1), '0', 0
  redis.call('DEL', KEYS[1])
  for _, field in ipairs(COUNTERS) do
    set(field, '0')
  end
  set('p', h[1] or '')
  set('x', h[3] or '0')
  set('e', string.format('%.0f', epoch))
  set('t', string.format('%.0f', now))
  set('w', string.format('%.0f', now))
end
redis.call('HSET', KEYS[1], unpack(put))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', DAYS + math.ceil(math.max(life, lasts) / 1000) + 1000))
-- Last, and not by call: without these rights, the writes above stand.
redis.pcall('XADD', KEYS[2], 'MAXLEN', RECORDS, '*', 't', string.format('%.0f', now), 'k', '3', 'e', string.format('%.0f', epoch),
  's', state, 'o', put[2], 'ob', ARGV[8], 'or', ARGV[9])
redis.pcall('PEXPIRE', KEYS[2], string.format('%.0f', DAYS))
redis.pcall('PUBLISH', KEYS[1], string.format('1 0 0 0 0 %.0f 0', serial))
return {1, now, 0, serial}
