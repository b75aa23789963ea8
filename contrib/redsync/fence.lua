-- fence.lua: give the holder of a lock its fencing token, which is above all before.
--
-- A token is one more than the last one, and at least the server's time: so tokens grow
-- also where the last one was lost, by a flush or a failover.
--
-- KEYS[1] the lock, a string: its holder's word   KEYS[2] the last token, a string
-- ARGV[1] the holder's word
-- ARGV[2] 0: give a new token; else a token that another server gave: take it for the last one, if it is higher
-- ARGV[3] how long the token is kept, ms
-- Returns {1, server's time in µs, token}; the token is 0 when the lock is not that holder's.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {1, now, 0}
end
local last = redis.pcall('GET', KEYS[2])
last = type(last) == 'string' and tonumber(last) or 0
if not (last >= 0 and last < 2 ^ 53) then
  last = 0
end
local given = tonumber(ARGV[2])
local token = given
if given == 0 then
  token = math.max(last + 1, now)
elseif last > given then
  token = last
end
redis.call('SET', KEYS[2], string.format('%.0f', token), 'PX', ARGV[3])
return {1, now, token}
