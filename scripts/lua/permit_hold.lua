-- permit_hold.lua: one replica says how many permits of a bulkhead it needs.
-- Twin, line for line where possible: domain/bulkhead State.Hold.
--
-- KEYS[1]  hash of who holds permits: {<holder> = "<seq>:<held>:<want>:<at µs>:<lasting µs>"}
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- ARGV[3]  holder
-- ARGV[4]  seq: what is not above the holder's last one changes nothing
-- ARGV[5]  room: how many calls the fleet may run
-- ARGV[6]  keep: how many calls the holder may run until it is answered
-- ARGV[7]  want: how many it could use, those included; 0 = it leaves
-- ARGV[8]  for how long this counts, µs
-- Returns  {1, now µs, stale 0|1}, and unless stale
--          permits held, and how many calls the holder may run
local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 1}
end
local seq, room, keep = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local want, lasting = tonumber(ARGV[7]), tonumber(ARGV[8])
local floor, max, min = math.floor, math.max, math.min
local MOST, TURN = 1000000, 250000 -- of permits; us
local BIG = 9007199254740991 -- 2^53 - 1

local fields = redis.pcall('HGETALL', KEYS[1])
local broken = fields.err ~= nil
if broken then
  if not string.find(fields.err, 'WRONGTYPE', 1, true) then
    return redis.error_reply(fields.err)
  end
  fields = {}
end

-- read reads what a holder said; nil if that is over, or is not a holder's.
local function read(text)
  local s, held, wants, at, rest = string.match(text, '^(%d+):(%d+):(%d+):(%d+):(%d+)$')
  if not s or #text > 80 then
    return nil
  end
  local one = {seq = tonumber(s) or BIG + 1, held = tonumber(held) or BIG, want = tonumber(wants) or BIG}
  one.at, one.rest = tonumber(at) or BIG + 1, tonumber(rest) or BIG + 1
  if one.seq > BIG or one.held > MOST or one.want > MOST or one.at > BIG or one.rest > BIG then
    return nil
  end
  one.moved = one.at > now -- the clock stepped back behind it
  one.at = min(one.at, now)
  return now - one.at < one.rest and one or nil
end

local others, names, gone = {}, {}, {}
local mine, last = {seq = 0, held = 0}, 0
local wanting = {}
if want > 0 then
  wanting[1] = ARGV[3]
end
for i = 1, #fields, 2 do
  local one = read(fields[i + 1])
  if one and fields[i] == ARGV[3] then
    mine = one
  elseif one then
    others[#others + 1] = one
    names[#names + 1] = fields[i]
    last = max(last, one.at + one.rest - now)
    if one.want > 0 then
      wanting[#wanting + 1] = fields[i]
    end
  else
    gone[#gone + 1] = fields[i]
  end
end

-- What part of the room is each one's that wants something: an even one or, of less room
-- than there are of them, one for each in its turn.
local n = max(#wanting, 1)
local even, turns = floor(room / n), {}
if room < n then
  table.sort(wanting)
  local first = floor(now / TURN) % n * room % n
  for i = 1, #wanting do
    turns[wanting[i]] = (i - 1 - first + n) % n < room and 1 or 0
  end
end
local held, owed = 0, 0
for i = 1, #others do
  held = held + others[i].held
  owed = owed + max(min(others[i].want, turns[names[i]] or even) - others[i].held, 0)
end

local free, own = room - held, turns[ARGV[3]] or even
local keeps, may = mine.held, max(min(mine.held, max(own, free - owed)), 0)
local fresh = seq > mine.seq
if fresh then
  may = max(min(want, max(own, free - owed), free), 0)
  keeps = max(may, min(keep, mine.held))
end

if broken then
  redis.call('DEL', KEYS[1])
end
for i = 1, #gone do
  redis.call('HDEL', KEYS[1], gone[i])
end
for i = 1, #others do
  local one = others[i]
  if one.moved then
    redis.call('HSET', KEYS[1], names[i], string.format('%.0f:%.0f:%.0f:%.0f:%.0f', one.seq, one.held, one.want, one.at, one.rest))
  end
end
if fresh and (keeps > 0 or want > 0) then
  redis.call('HSET', KEYS[1], ARGV[3], string.format('%.0f:%.0f:%.0f:%.0f:%.0f', seq, keeps, want, now, lasting))
  last = max(last, lasting)
elseif fresh then
  if not mine.at then -- to write something, so that it shows whether the server can
    redis.call('HSET', KEYS[1], ARGV[3], '')
  end
  redis.call('HDEL', KEYS[1], ARGV[3])
elseif mine.at then
  if mine.moved then
    redis.call('HSET', KEYS[1], ARGV[3], string.format('%.0f:%.0f:%.0f:%.0f:%.0f', mine.seq, mine.held, mine.want, mine.at, mine.rest))
  end
  last = max(last, mine.at + mine.rest - now)
end
if last > 0 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', floor(last / 1000) + 1001))
end
return {1, now, 0, keeps, may}
