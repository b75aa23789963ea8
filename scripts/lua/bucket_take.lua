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
local MAX, BIG = 562949953421312, 9007199254740991 -- 2^49, 2^53 - 1
local floor, min, max, format = math.floor, math.min, math.max, string.format

local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 1}
end

-- read_rule reads "1:<version>:<earn>:<worth>:<full>"; else nil and what is wrong with it.
local function read_rule(p)
  local schema, v, e, w, f = string.match(p or '', '^(%d+):(%d+):(%d+):(%d+):(%d+)$')
  if schema ~= '1' then
    schema = tonumber(string.match(p or '', '^(%d+):') or 0)
    return nil, schema > 1 and 2 or 1
  end
  v, e, w, f = tonumber(v), tonumber(e), tonumber(w), tonumber(f)
  if v > BIG or e < 1 or e > MAX or w < 1 or w > MAX or f < w or f > MAX or f % w ~= 0 then
    return nil, 1
  end
  return {v = v, e = e, w = w, f = f}
end

-- better: whether the rule a wins over the rule b at once.
local function better(a, b)
  local mine, theirs = floor(a.w / a.e), floor(b.w / b.e)
  if a.v ~= b.v then
    return a.v > b.v
  elseif mine ~= theirs then
    return mine > theirs
  elseif a.f / a.w ~= b.f / b.w then
    return a.f / a.w < b.f / b.w
  elseif a.e ~= b.e then
    return a.e < b.e
  end
  return a.w > b.w
end

-- rescale: what c credits under the rule b are under the rule a; products stay below 2^53.
local function rescale(a, b, c)
  if c < 0 then
    return -min(floor((-c + b.w - 1) / b.w), a.f / a.w) * a.w
  end
  local quantum = floor((b.f + 67108863) / 67108864)
  local parts = floor((b.f + quantum - 1) / quantum)
  local held = floor(c / quantum)
  return floor(a.f / parts) * held + floor(a.f % parts * held / parts)
end

-- with_bill adds a bill to those charged, and forgets the oldest.
local function with_bill(b, bill)
  b = b == '' and bill or bill .. ',' .. b
  local at = 0
  for _ = 1, BILLS do
    at = string.find(b, ',', at + 1, true)
    if not at then
      return b
    end
  end
  return string.sub(b, 1, at - 1)
end

local out, o, at = {1, now, 0}, 3, 3 -- the reply and how long it is; where in ARGV
local writes
for k = 1, #KEYS do
  local e, w, f = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local p = '1:' .. ARGV[at + 1] .. ':' .. ARGV[at + 2] .. ':' .. ARGV[at + 3] .. ':' .. ARGV[at + 4]
  local heal, asks = ARGV[at] == '1', tonumber(ARGV[at + 5])
  local mine, foreign, changed, wrong = nil, 0, false, 0
  local h = redis.pcall('HMGET', KEYS[k], 'c', 'u', 'p', 'd', 'x', 'b')
  if h.err then
    if not string.find(h.err, 'WRONGTYPE', 1, true) then
      return redis.error_reply(h.err)
    end
    h, wrong = {}, 1
  end
  local c, u, d, x, b = tonumber(h[1] or f), tonumber(h[2] or now), tonumber(h[4] or 0), tonumber(h[5] or 0), h[6] or ''
  local there, stored = wrong == 0 and (h[1] or h[2] or h[3]) ~= false, nil
  if there then
    -- Read with care: another program, or a person, may have written it.
    if h[3] ~= p then
      stored, wrong = read_rule(h[3])
      wrong = wrong or 0
    end
    local full = stored and stored.f or f
    if wrong == 0 and not (h[1] and h[2] and c and u and d and x and c >= -full and c <= full and c % 1 == 0
      and u >= 0 and u <= BIG and u % 1 == 0 and d >= 0 and d <= TURN and d % 1 == 0
      and x >= 0 and x <= CLAIM and x % 1 == 0 and #b <= 200 and not string.find(b, '[^%d,]')) then
      wrong = 1
    end
  end
  if wrong == 1 and heal then
    there, stored, changed, wrong = false, nil, true, 0
    c, u, d, x, b = f, now, 0, 0, ''
  else
    heal = false
  end

  if there and wrong == 0 then
    -- Bring the state to now.
    if stored then
      mine = {v = tonumber(ARGV[at + 1]), e = e, w = w, f = f}
      e, w, f = stored.e, stored.w, stored.f
    end
    if u - now > SKEW then
      u = now
    end
    local elapsed = now - u
    if elapsed > 0 then
      u = now
      c = min(c + e * min(elapsed, floor((f - c + e - 1) / e)), f)
      d = max(d - elapsed, 0)
      x = x > 0 and min(x + elapsed, CLAIM) or 0
    end
    -- Settle whose numbers decide. A full bucket is as good as none.
    if c == f and d == 0 then
      if stored then
        e, w, f = mine.e, mine.w, mine.f
      end
      c, x, b = f, 0, ''
    elseif not stored then
      changed, x = x ~= 0, 0
    elseif better(mine, stored) or x >= CLAIM then
      c, x, changed = rescale(mine, stored, c), 0, true
      e, w, f = mine.e, mine.w, mine.f
    else
      foreign, p = 1, h[3]
      if x == 0 then
        x, changed = 1, true
      end
    end
  end
  out[o + 1], out[o + 2] = wrong, foreign
  o, at = o + 2, at + 6

  local turn, denied = d, false
  for _ = 1, asks do
    local cost, count, bill = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 3]
    local granted, retry = 0, 0
    if wrong ~= 0 then
      c = 0
    elseif bill ~= '0' then
      granted = count
      if not string.find(',' .. b .. ',', ',' .. bill .. ',', 1, true) then
        b, changed = with_bill(b, bill), true
        c = max(c - min(cost, f / w) * w, -f)
      end
    elseif cost == 0 then
      granted, retry = count, max(floor((w - c + e - 1) / e), 0)
    elseif cost * w > f then
      retry = -1
    else
      local want = cost * w
      if c >= want then
        granted = min(count, floor(c / want))
        c, changed = c - granted * want, true
      end
      if granted < count then
        retry = floor((want - c + e - 1) / e)
        if ARGV[at + 2] == '1' then
          denied, retry = true, max(retry, turn)
        end
      end
    end
    out[o + 1], out[o + 2], out[o + 3] = granted, floor(max(c, 0) / w), retry
    o, at = o + 3, at + 4
  end
  if denied then
    d, changed = min(turn + floor((w + e - 1) / e), TURN), true
  end
  if changed then
    writes = writes or {}
    writes[#writes + 1] = {k, c, u, p, d, x, b, h, heal, max(floor((f - c + e - 1) / e), d)}
  end
end

-- keep writes a field that is there only when it says something.
local function keep(key, field, value, none, old)
  if value ~= none then
    redis.call('HSET', key, field, value)
  elseif old then
    redis.call('HDEL', key, field)
  end
end

for i = 1, writes and #writes or 0 do
  local k, c, u, p, d, x, b, h, heal, full_in = unpack(writes[i])
  if heal then
    redis.call('DEL', KEYS[k])
    h = {}
  end
  if h[3] == p then
    redis.call('HSET', KEYS[k], 'c', format('%.0f', c), 'u', format('%.0f', u))
  else
    redis.call('HSET', KEYS[k], 'c', format('%.0f', c), 'u', format('%.0f', u), 'p', p)
  end
  if d > 0 or h[4] then
    keep(KEYS[k], 'd', format('%.0f', d), '0', h[4])
  end
  if x > 0 or h[5] then
    keep(KEYS[k], 'x', format('%.0f', x), '0', h[5])
  end
  if b ~= '' or h[6] then
    keep(KEYS[k], 'b', b, '', h[6])
  end
  redis.call('PEXPIRE', KEYS[k], format('%.0f', floor(full_in / 1000) + 1001))
end
return out
