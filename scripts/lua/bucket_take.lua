-- bucket_take.lua: decide what callers ask of token buckets, in order, all or none each.
-- Twin, line for line where possible: domain/bucket State.Decide.
--
-- KEYS[k]  hash of one bucket; a hash slot each, so on a cluster one key a call
--            c  credits, integer; one µs earns `earn` of them, a token is worth `worth`
--            u  Unix µs at which all of this was true
--            p  whose numbers decide: "1:<version>:<earn>:<worth>:<full>", 1 = schema
--            d  µs after u up to which turns are handed out; absent = 0
--            x  µs for which other numbers were brought, and these were not; absent = 0
--            b  the last bills charged, newest first, "<id>,<id>,…"; absent = none
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- then for each key
--          heal 0|1 (start afresh if what is there cannot be read),
--          version, earn, worth, full, number of asks,
--          and for each ask: cost, tokens; count; turn 0|1; bill, 0 = none
-- Returns  {1, now µs, stale 0|1}, and unless stale for each key
--          state 0 = decided | 1 = unreadable | 2 = of a newer schema, foreign 0|1,
--          and for each ask: granted, remaining tokens, retry after µs (-1 = never)
-- All numbers are integers below 2^53. Nothing is written before everything is decided.
local SKEW, TURN, CLAIM, BILLS = 5000000, 1000000, 60000000, 8
local MAX = 562949953421312 -- 2^49

local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 1}
end

-- int reads an integer within bounds; else nil, as for NaN and infinity.
local function int(text, low, high)
  if not text or #text > 17 or not string.match(text, '^%-?%d+$') then
    return nil
  end
  local n = tonumber(text)
  if n < low or n > high then
    return nil
  end
  return n
end

local function ceil_div(a, b)
  return math.floor((a + b - 1) / b)
end

local function wait_for(s, want)
  if s.c >= want then
    return 0
  end
  return ceil_div(want - s.c, s.earn)
end

-- better: whether the numbers of r win over those of s at once.
local function better(r, s)
  if r.version ~= s.version then
    return r.version > s.version
  end
  local mine, theirs = math.floor(r.worth / r.earn), math.floor(s.worth / s.earn)
  if mine ~= theirs then
    return mine > theirs
  end
  if r.full / r.worth ~= s.full / s.worth then
    return r.full / r.worth < s.full / s.worth
  end
  if r.earn ~= s.earn then
    return r.earn < s.earn
  end
  return r.worth > s.worth
end

-- rescale: credits of s under the numbers of r; products stay below 2^53.
local function rescale(r, s)
  if s.c < 0 then
    return -math.min(ceil_div(-s.c, s.worth), r.full / r.worth) * r.worth
  end
  local quantum = ceil_div(s.full, 67108864)
  local parts = ceil_div(s.full, quantum)
  local held = math.floor(s.c / quantum)
  return math.floor(r.full / parts) * held + math.floor(r.full % parts * held / parts)
end

-- read returns the bucket's state, nil if there is none, and what is wrong with it.
local function read(h, r)
  local c, u, p = h[1], h[2], h[3]
  if not c and not u and not p then
    return nil, 0
  end
  local s = {version = r.version, earn = r.earn, worth = r.worth, full = r.full, p = p}
  if p ~= r.p then
    local schema, version, earn, worth, full = string.match(p or '', '^(%d+):(%d+):(%d+):(%d+):(%d+)$')
    if schema ~= '1' then
      local newer = int(string.match(p or '', '^(%d+):'), 2, MAX)
      return nil, newer and 2 or 1
    end
    s.version, s.earn, s.worth = int(version, 0, 9007199254740991), int(earn, 1, MAX), int(worth, 1, MAX)
    s.full = int(full, 1, MAX)
    if not (s.version and s.earn and s.worth and s.full) or s.full % s.worth ~= 0 then
      return nil, 1
    end
  end
  s.c, s.u = int(c, -s.full, s.full), int(u, 0, 9007199254740991)
  s.d, s.x = int(h[4] or '0', 0, TURN), int(h[5] or '0', 0, CLAIM)
  s.b = h[6] or ''
  if not (s.c and s.u and s.d and s.x) or not string.match(s.b, '^[%d,]*$') or #s.b > 200 then
    return nil, 1
  end
  return s, 0
end

-- fresh makes s a full bucket under the numbers of r.
local function fresh(s, r)
  s.version, s.earn, s.worth, s.full, s.p = r.version, r.earn, r.worth, r.full, r.p
  s.c, s.d, s.x, s.b = r.full, 0, 0, ''
end

-- enter brings s to now and settles whose numbers decide; true if that must be kept.
local function enter(s, r)
  if s.u - now > SKEW then
    s.u = now
  end
  local elapsed = now - s.u
  if elapsed > 0 then
    s.u = now
    s.c = math.min(s.c + s.earn * math.min(elapsed, ceil_div(s.full - s.c, s.earn)), s.full)
    s.d = math.max(s.d - elapsed, 0)
    if s.x > 0 then
      s.x = math.min(s.x + elapsed, CLAIM)
    end
  end
  if s.c == s.full and s.d == 0 then
    fresh(s, r) -- a full bucket is as good as none
    return false
  end
  if s.p == r.p then
    local challenged = s.x ~= 0
    s.x = 0
    return challenged
  end
  if better(r, s) or s.x >= CLAIM then
    s.c = rescale(r, s)
    s.version, s.earn, s.worth, s.full, s.p, s.x = r.version, r.earn, r.worth, r.full, r.p, 0
    return true
  end
  if s.x == 0 then
    s.x = 1
    return true
  end
  return false
end

-- charge takes tokens for a bill that was not charged yet; true if it did.
local function charge(s, bill, tokens)
  if string.find(',' .. s.b .. ',', ',' .. bill .. ',', 1, true) then
    return false
  end
  s.b = s.b == '' and bill or bill .. ',' .. s.b
  local kept, at = 0, 0
  repeat
    at = string.find(s.b, ',', at + 1, true)
    kept = kept + 1
  until not at or kept == BILLS
  if at then
    s.b = string.sub(s.b, 1, at - 1)
  end
  s.c = math.max(s.c - math.min(tokens, s.full / s.worth) * s.worth, -s.full)
  return true
end

-- answer decides one ask: granted, retry after, whether anything changed.
local function answer(s, cost, count, bill)
  if bill ~= '0' then
    return count, 0, charge(s, bill, cost)
  end
  if cost == 0 then
    return count, wait_for(s, s.worth), false
  end
  if cost > s.full / s.worth then
    return 0, -1, false
  end
  local want, granted, retry = cost * s.worth, 0, 0
  if s.c > 0 then
    granted = math.min(count, math.floor(s.c / want))
    s.c = s.c - granted * want
  end
  if granted < count then
    retry = wait_for(s, want)
  end
  return granted, retry, granted > 0
end

local out, writes, at = {1, now, 0}, {}, 3
for k = 1, #KEYS do
  local heal, asks = ARGV[at] == '1', tonumber(ARGV[at + 5])
  local r = {
    version = tonumber(ARGV[at + 1]), earn = tonumber(ARGV[at + 2]),
    worth = tonumber(ARGV[at + 3]), full = tonumber(ARGV[at + 4]),
    p = '1:' .. ARGV[at + 1] .. ':' .. ARGV[at + 2] .. ':' .. ARGV[at + 3] .. ':' .. ARGV[at + 4],
  }
  at = at + 6
  local h = redis.pcall('HMGET', KEYS[k], 'c', 'u', 'p', 'd', 'x', 'b')
  local s, wrong = nil, 1
  if not h.err then
    s, wrong = read(h, r)
  elseif not string.find(h.err, 'WRONGTYPE', 1, true) then
    return redis.error_reply(h.err)
  end
  if wrong == 1 and heal then
    wrong = 0
  else
    heal = false
  end
  if wrong ~= 0 then
    out[#out + 1] = wrong
    out[#out + 1] = 0
    for _ = 1, asks * 3 do
      out[#out + 1] = 0
    end
    at = at + asks * 4
  else
    local had, changed = s, heal
    if s then
      changed = enter(s, r) or changed
    else
      s = {u = now}
      fresh(s, r)
    end
    out[#out + 1] = 0
    out[#out + 1] = s.p == r.p and 0 or 1
    local turn, denied = s.d, false
    for _ = 1, asks do
      local count = tonumber(ARGV[at + 1])
      local granted, retry, wrote = answer(s, tonumber(ARGV[at]), count, ARGV[at + 3])
      changed = changed or wrote
      if granted < count and ARGV[at + 2] == '1' and retry >= 0 then
        denied = true
        retry = math.max(retry, turn)
      end
      out[#out + 1] = granted
      out[#out + 1] = math.floor(math.max(s.c, 0) / s.worth)
      out[#out + 1] = retry
      at = at + 4
    end
    if denied then
      s.d = math.min(turn + ceil_div(s.worth, s.earn), TURN)
      changed = true
    end
    if changed then
      writes[#writes + 1] = {k, s, heal, had and h or {}}
    end
  end
end

for i = 1, #writes do
  local k, s, heal, h = writes[i][1], writes[i][2], writes[i][3], writes[i][4]
  if heal then
    redis.call('DEL', KEYS[k])
  end
  local put = {'c', string.format('%.0f', s.c), 'u', string.format('%.0f', s.u), 'p', s.p}
  local function keep(field, value, none, old)
    if value ~= none then
      put[#put + 1] = field
      put[#put + 1] = value
    elseif old then
      redis.call('HDEL', KEYS[k], field)
    end
  end
  keep('d', string.format('%.0f', s.d), '0', h[4])
  keep('x', string.format('%.0f', s.x), '0', h[5])
  keep('b', s.b, '', h[6])
  redis.call('HSET', KEYS[k], unpack(put))
  local full_in = math.max(ceil_div(s.full - s.c, s.earn), s.d)
  redis.call('PEXPIRE', KEYS[k], string.format('%.0f', math.ceil(full_in / 1000) + 1000))
end
return out
