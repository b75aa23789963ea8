-- policy_publish.lua: put a document of policies in force for a fleet.
-- Twin, line for line where possible: store/memory policies.Publish.
--
-- KEYS[1]  stream of documents, the newest last: d = document, b = who, r = why, s = shadow 0|1.
--          The first part of an entry's ID is its version. What was published holds until
--          something else is, or for ten years.
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- ARGV[3]  version of a document that is brought back; 0 = a new one
-- ARGV[4]  version that is to be in force before; 0 = none
-- ARGV[5]  document   ARGV[6]  who   ARGV[7]  why   ARGV[8]  shadow 0|1
-- Returns  {1, now µs, state of the answer, version in force}, that state being
--          0 = published | 1 = unreadable | 3 = too late | 4 = version too far ahead
--          5 = another one is in force
-- All numbers are integers below 2^53. Nothing is written before everything is decided.
local AHEAD, KEPT, YEARS = 86400000000, '16', '315360000000'

local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 3, 0}
end

local last = redis.pcall('XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1')
if last.err then
  if not string.find(last.err, 'WRONGTYPE', 1, true) then
    return redis.error_reply(last.err)
  end
  return {1, now, 1, 0}
end
local stands = 0
if last[1] then
  stands = tonumber(string.match(last[1][1], '^%d+'))
end

local version = tonumber(ARGV[3])
if version == 0 then
  if tonumber(ARGV[4]) ~= stands then
    return {1, now, 5, stands}
  end
  version = math.max(now, stands + 1)
elseif version > now + AHEAD then
  return {1, now, 4, stands}
elseif stands > 0 then
  return {1, now, 5, stands}
end
redis.call('XADD', KEYS[1], 'MAXLEN', KEPT, string.format('%.0f-0', version), 'd', ARGV[5], 'b', ARGV[6], 'r', ARGV[7], 's', ARGV[8])
redis.call('PEXPIRE', KEYS[1], YEARS)
return {1, now, 0, version}
