-- bucket_take.lua: decide what callers ask of token buckets, in order, all or none each.
-- Twin, line for line where possible: domain/bucket State.Decide.
--
-- KEYS[k]  hash of one bucket; a hash slot each, so on a cluster one key a call
--            c  credits, integer; one µs earns `earn` of them, a token is worth `worth`,
--               and a full bucket holds `burst` tokens
--            u  Unix µs at which all of this was true
--            p  whose numbers decide: "1:<version>:<earn>:<worth>:<burst>", 1 = schema
--            d  µs after u up to which turns are handed out; absent = 0
--            x  µs since other numbers were brought, negative when these were since; absent = 0
--            b  the last bills charged, newest first, "<id>,<id>,…"; absent = none
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- then for each key
--          p as above, behind a "!" to start afresh if what is there cannot be read;
--          the number of asks,
--          and for each ask: cost, tokens, 0 = a look; count, negative = the asker
--          takes a turn, or of a look that the bucket is written as it is;
--          a count of 0 is a bill, whose id follows
-- Returns  {1, now µs, stale 0|1}, and unless stale for each key
--          state 0 = decided | 1 = unreadable | 2 = of a newer schema, foreign 0|1,
--          and for each ask: granted, remaining tokens, retry after µs (-1 = never:
--          the cost is above the burst, or below 0)
-- All numbers are integers below 2^53. Nothing is written before everything is decided.
local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 1}
end

-- One ask of one bucket with nothing unusual about it, granted whole: that is
-- most calls of a replica with little to do, and the way below takes a quarter
-- longer. Anything else goes that way; the two agree wherever this one answers.
if #ARGV == 6 then
  local h = redis.pcall('HMGET', KEYS[1], 'c', 'u', 'p', 'd', 'x', 'b')
  local e, w, f = string.match(ARGV[3], '^1:%d+:(%d+):(%d+):(%d+)$')
  local c, u, cost, count = tonumber(h[1] or ''), tonumber(h[2] or ''), tonumber(ARGV[5]), tonumber(ARGV[6])
  if h[3] == ARGV[3] and e and c and u and not (h[4] or h[5] or h[6]) and cost > 0 then
    e, w, f = tonumber(e), tonumber(w), f * w
    local plain, taken = c >= 0 and c <= f and c % 1 == 0 and u >= 0 and u <= now and u % 1 == 0, math.abs(count) * cost * w
    c = (now - u) * e < f - c and c + (now - u) * e or f
    if plain and c >= taken and taken > 0 then
      c = c - taken
      redis.call('HSET', KEYS[1], 'c', string.format('%.0f', c), 'u', string.format('%.0f', now))
      redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.floor((f - c) / e / 1000) + 1002))
      return {1, now, 0, 0, 0, math.abs(count), math.floor(c / w), 0}
    end
  end
end

local SKEW, TURN, CLAIM, BILLS = 5000000, 1000000, 60000000, 8
local MAX, BIG = 562949953421312, 9007199254740991 -- 2^49, 2^53 - 1
local floor, min, max, format = math.floor, math.min, math.max, string.format
local args = ARGV

-- rare makes the functions that few calls need: making one takes time, too.
local read_rule, better, rescale, with_bill, keep
local function rare()
  -- read_rule reads "1:<version>:<earn>:<worth>:<burst>"; else nil and what is wrong with it.
  function read_rule(p)
    local schema, v, e, w, f = string.match(p or '', '^(%d+):(%d+):(%d+):(%d+):(%d+)$')
    if schema ~= '1' then
      schema = string.match(p or '', '^(%d+):') or '0'
      return nil, #schema <= 16 and tonumber(schema) > 1 and 2 or 1
    end
    v, e, w, f = tonumber(v), tonumber(e), tonumber(w), tonumber(f)
    f = w and f and f * w
    if not (v and e and f) or v > BIG or e < 1 or e > MAX or w < 1 or f < w or f > MAX then
      return nil, 1
    end
    return {v = v, e = e, w = w, f = f}
  end

  -- better: whether the rule a wins over the rule b at once.
  function better(a, b)
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
  function rescale(a, b, c)
    if c < 0 then
      return -min(floor((-c + b.w - 1) / b.w), a.f / a.w) * a.w
    end
    local quantum = floor((b.f + 67108863) / 67108864)
    local parts = floor((b.f + quantum - 1) / quantum)
    local held = floor(c / quantum)
    return floor(a.f / parts) * held + floor(a.f % parts * held / parts)
  end

  -- with_bill adds a bill to those charged, and forgets the oldest.
  function with_bill(b, bill)
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

  -- keep writes a field that is there only when it says something.
  function keep(k, field, value, none, old)
    if value ~= none then
      redis.call('HSET', KEYS[k], field, value)
    elseif old then
      redis.call('HDEL', KEYS[k], field)
    end
  end
end

-- write stores a bucket that changed; h is what was there.
local function write(k, c, u, p, d, x, b, h, full_in)
  if h.err then
    redis.call('DEL', KEYS[k])
  end
  if h[3] == p then
    redis.call('HSET', KEYS[k], 'c', format('%.0f', c), 'u', format('%.0f', u))
  else
    redis.call('HSET', KEYS[k], 'c', format('%.0f', c), 'u', format('%.0f', u), 'p', p)
  end
  if d > 0 or x ~= 0 or b ~= '' or h[4] or h[5] or h[6] then
    rare()
    keep(k, 'd', format('%.0f', d), '0', h[4])
    keep(k, 'x', format('%.0f', x), '0', h[5])
    keep(k, 'b', b, '', h[6])
  end
  redis.call('PEXPIRE', KEYS[k], format('%.0f', floor(full_in / 1000) + 1001))
end

local out, o, at, last = {1, now, 0}, 3, 3, #KEYS -- the reply and how long it is; where in ARGV
local writes = {}
for k = 1, last do
  local mark, p, e, w, f = string.match(args[at], '^(!?)(1:%d+:(%d+):(%d+):(%d+))$')
  local heal, asks = mark == '!', tonumber(args[at + 1])
  e, w, f = tonumber(e), tonumber(w), f * w
  local mine, stored, foreign, changed, wrong = nil, nil, 0, false, 0
  local h = redis.pcall('HMGET', KEYS[k], 'c', 'u', 'p', 'd', 'x', 'b')
  if h.err then
    if not string.find(h.err, 'WRONGTYPE', 1, true) then
      return redis.error_reply(h.err)
    end
    wrong = 1
  end
  local c, u, d, x, b = f, now, 0, 0, ''
  local there = h[1] or h[2] or h[3]
  if there then
    -- Read with care: another program, or a person, may have written it.
    c, u, d, x, b = tonumber(h[1]), tonumber(h[2]), tonumber(h[4] or 0), tonumber(h[5] or 0), h[6] or ''
    local full = f
    if h[3] ~= p then
      rare()
      stored, wrong = read_rule(h[3])
      wrong, full = wrong or 0, stored and stored.f or f
    end
    if wrong == 0 and not (c and u and d and x and c >= -full and c <= full and c % 1 == 0
      and u >= 0 and u <= BIG and u % 1 == 0 and d >= 0 and d <= TURN and d % 1 == 0
      and x >= -CLAIM and x <= CLAIM and x % 1 == 0 and #b <= 200 and not string.find(b, '[^%d,]')) then
      wrong = 1
    end
  end
  if wrong == 1 and heal then
    there, stored, changed, wrong = nil, nil, true, 0
    c, u, d, x, b, h = f, now, 0, 0, '', {err = true}
  end

  if wrong ~= 0 then
    c = 0 -- and nothing is decided
  elseif there then
    -- Bring the state to now.
    if stored then
      mine = read_rule(p)
      e, w, f = stored.e, stored.w, stored.f
    end
    local elapsed = now - u
    if elapsed < -SKEW then
      u, changed = now, true -- kept, or the bucket would wait for the clock to come back
    elseif elapsed > 0 then
      u = now
      c = min(c + e * min(elapsed, floor((f - c + e - 1) / e)), f)
      d = d > elapsed and d - elapsed or 0
      x = x > 0 and min(x + elapsed, CLAIM) or x < 0 and x - elapsed > -CLAIM and x - elapsed or 0
    end
    -- Settle whose numbers decide. A full bucket is as good as none, unless two
    -- are brought: else each time that it is full the other one's burst could be had.
    if c == f and d == 0 and (x == 0 or x >= CLAIM) then
      if stored then
        e, w, f = mine.e, mine.w, mine.f
      end
      c, x, b, changed = f, 0, '', false
    elseif not stored then
      if x > 0 then
        x, changed = -1, true
      end
    elseif better(mine, stored) or x >= CLAIM then
      x = better(mine, stored) and -1 or 0
      c, changed = rescale(mine, stored, c), true
      e, w, f = mine.e, mine.w, mine.f
    else
      foreign, p = 1, h[3]
      if x <= 0 then
        x, changed = 1, true
      end
    end
  end
  out[o + 1], out[o + 2] = wrong, foreign
  o, at = o + 2, at + 2

  local denied, peeked = false, not h.err -- a peek writes nothing, but it heals
  for _ = 1, asks do
    local cost, count = tonumber(args[at]), tonumber(args[at + 1])
    local granted, retry, turn = 0, 0, count < 0
    at = at + 2
    if turn then
      count = -count
    end
    peeked = peeked and cost == 0 and count ~= 0 and not turn
    if count == 0 then
      local bill = args[at]
      at = at + 1
      granted = 1
      if wrong == 0 and not string.find(',' .. b .. ',', ',' .. bill .. ',', 1, true) then
        rare()
        b, changed = with_bill(b, bill), true
        c = max(c - max(min(cost, f / w), 0) * w, -f)
      end
    elseif wrong ~= 0 then
      granted = 0
    elseif cost == 0 then
      granted, retry = count, max(floor((w - c + e - 1) / e), 0)
      changed = changed or turn
    elseif cost < 0 or cost * w > f then
      retry = -1
    else
      local want = cost * w
      if c >= want then
        granted = floor(c / want)
        if granted > count then
          granted = count
        end
        c, changed = c - granted * want, true
      end
      if granted < count then
        retry = floor((want - c + e - 1) / e)
        if turn then
          denied, retry = true, max(retry, d)
        end
      end
    end
    out[o + 1], out[o + 2], out[o + 3] = granted, c > 0 and floor(c / w) or 0, retry
    o = o + 3
  end
  if denied then
    d, changed = min(d + floor((w + e - 1) / e), TURN), true
  end
  if changed and not peeked then
    local full_in = floor((f - c + e - 1) / e)
    if full_in < d then
      full_in = d
    end
    if x ~= 0 then
      full_in = max(full_in, CLAIM - math.abs(x))
    end
    full_in = full_in + u - now -- the clock may have stepped back behind u
    if k < last then
      writes[#writes + 1] = {k, c, u, p, d, x, b, h, full_in}
    else
      for i = 1, #writes do
        write(unpack(writes[i]))
      end
      writes = {}
      write(k, c, u, p, d, x, b, h, full_in)
    end
  end
end
for i = 1, #writes do
  write(unpack(writes[i]))
end
return out
