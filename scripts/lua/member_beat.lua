-- member_beat.lua: keep one replica a member of its fleet, and count the members.
-- Twin: store/memory members.Beat.
--
-- KEYS[1]  hash of the fleet's members: {<replica> = "<at µs>:<lasting µs>"}
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  replica
-- ARGV[3]  how long the membership lasts, µs; 0 ends it
-- Returns  {1, now µs, members}
local now = tonumber(ARGV[1])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local lasting = tonumber(ARGV[3])

local fields = redis.pcall('HGETALL', KEYS[1])
local broken = fields.err ~= nil
if broken then
  if not string.find(fields.err, 'WRONGTYPE', 1, true) then
    return redis.error_reply(fields.err)
  end
  fields = {}
end

local members, longest, gone = 0, lasting, {}
local moved = {} -- those whose start the clock stepped back behind
for i = 1, #fields, 2 do
  local at, rest = string.match(fields[i + 1], '^(%d+):(%d+)$')
  if fields[i] == ARGV[2] or not at or #at > 16 or #rest > 16 then
    at = nil -- this replica's own, or not of a replica
  else
    at, rest = tonumber(at), tonumber(rest)
  end
  if not at then
    rest = nil
  elseif at and at > now then
    at = now
    moved[#moved + 1] = fields[i]
    moved[#moved + 1] = string.format('%.0f:%.0f', at, rest)
  end
  if at and now - at < rest then
    members = members + 1
    longest = math.max(longest, at + rest - now)
  else
    gone[#gone + 1] = fields[i]
  end
end

if broken then
  redis.call('DEL', KEYS[1])
end
for i = 1, #gone do
  redis.call('HDEL', KEYS[1], gone[i])
end
for i = 1, #moved, 2 do
  redis.call('HSET', KEYS[1], moved[i], moved[i + 1])
end
if lasting > 0 then
  members = members + 1
  redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f:%.0f', now, lasting))
end
if members > 0 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(longest / 1000) + 1000))
end
return {1, now, members}
