-- bucket_take.lua: decide what callers ask of token buckets, in order, all or none each.
-- Twin, line for line where possible: domain/bucket State.Decide.
--
-- KEYS[k]  hash of one bucket; a hash slot each, so on a cluster one key a call
--            c  credits, integer; one µs earns `earn` of them, a token is worth `worth`,
--               and a full bucket holds `burst` tokens; of each band, "<c>,<c>,…"
--            u  Unix µs at which all of this was true
--            p  whose numbers decide: "1:<version>:<earn>:<worth>:<burst>", 1 = schema;
--               each further band adds ":<earn>:<worth>:<burst>", 4 bands at most
--            d  µs after u up to which turns are handed out; absent = 0
--            x  µs since other numbers were brought, negative when these were since; absent = 0
--            b  the last bills charged, newest first, "<id>,<id>,…"; absent = none
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- then for each key
--          p as above, behind a "!" to start afresh if what is there cannot be read, and
--          a "t" to keep whole tokens or an "r" to begin full where other numbers change;
--          the number of asks,
--          and for each ask: cost, tokens, 0 = a look; count, negative = the asker
--          takes a turn, or of a look that the bucket is written as it is;
--          a count of 0 is a bill, whose id follows
-- Returns  {1, now µs, stale 0|1}, and unless stale for each key
--          state 0 = decided | 1 = unreadable | 2 = of a newer schema, foreign 0|1,
--          and for each ask: granted, remaining tokens in the band that has the fewest,
--          retry after µs (-1 = never: the cost is above the burst, or below 0), and the
--          band that must be waited for so long, 0 = the first
-- All numbers are integers below 2^53. Nothing is written before everything is decided.
local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 1}
end

-- short decides one ask of one bucket of one band with nothing unusual about it, granted
-- whole: that is most calls, and the way below takes longer. It returns what was granted,
-- the credits and tokens left, after how many ms the key may go, and the claim if there was
-- no bucket; or nil, for the way below. The two agree wherever this one answers.
local function short(p, h, cost, count)
  local e, w, f = string.match(p, '^1:%d+:(%d+):(%d+):(%d+)$')
  if not e or h.err or h[4] or h[5] or h[6] or cost <= 0 or count == 0 then
    return nil
  end
  e, w, f = tonumber(e), tonumber(w), f * w
  local c, u, claim = tonumber(h[1] or ''), tonumber(h[2] or ''), nil
  if not (h[1] or h[2] or h[3]) then
    c, u, claim = f, now, p
  elseif h[3] ~= p or not c or not u or c < 0 or c > f or c % 1 ~= 0 or u < 0 or u > now or u % 1 ~= 0 then
    return nil
  end
  c = (now - u) * e < f - c and c + (now - u) * e or f
  count = math.abs(count)
  if c < count * cost * w then
    return nil
  end
  c = c - count * cost * w
  return count, c, math.floor(c / w), math.floor((f - c) / e / 1000) + 1002, claim
end

-- keep_short stores what short left.
local function keep_short(k, c, ms, claim)
  if claim then
    redis.call('HSET', KEYS[k], 'c', string.format('%.0f', c), 'u', string.format('%.0f', now), 'p', claim)
  else
    redis.call('HSET', KEYS[k], 'c', string.format('%.0f', c), 'u', string.format('%.0f', now))
  end
  redis.call('PEXPIRE', KEYS[k], string.format('%.0f', ms))
end

if #ARGV == 6 then
  local h = redis.pcall('HMGET', KEYS[1], 'c', 'u', 'p', 'd', 'x', 'b')
  local granted, c, left, ms, claim = short(ARGV[3], h, tonumber(ARGV[5]), tonumber(ARGV[6]))
  if granted then
    keep_short(1, c, ms, claim)
    return {1, now, 0, 0, 0, granted, left, 0, 0}
  end
end

local SKEW, TURN, CLAIM, BILLS, BANDS = 5000000, 1000000, 60000000, 8, 4
local MAX, BIG = 562949953421312, 9007199254740991 -- 2^49, 2^53 - 1
local floor, min, max, format, gmatch = math.floor, math.min, math.max, string.format, string.gmatch
local args = ARGV

-- bands reads ":<earn>:<worth>:<burst>" of each band: n of them, in e, w and f, which is
-- what a full one holds.
local function bands(text)
  local n, e, w, f = 0, {}, {}, {}
  for earn, worth, burst in gmatch(text, ':(%d+):(%d+):(%d+)') do
    n = n + 1
    e[n], w[n] = tonumber(earn) or BIG, tonumber(worth) or BIG
    f[n] = (tonumber(burst) or BIG) * w[n]
  end
  return n, e, w, f
end

-- credits reads "<c>,<c>,…"; nil if there is nothing.
local function credits(text)
  local c = {}
  if text then
    for one in gmatch(text, '[^,]+') do
      c[#c + 1] = tonumber(one) or BIG + 1
    end
  end
  return c[1] and c
end

-- copy copies what full bands hold.
local function copy(f)
  return {unpack(f)}
end

-- rare makes the functions that few calls need: making one takes time, too.
local read_rule, better, carry, with_bill, keep
local function rare()
  -- read_rule reads a claim; else nil and what is wrong with it.
  function read_rule(p)
    local schema, v, rest = string.match(p or '', '^(%d+):(%d+)(:[%d:]+)$')
    if schema ~= '1' then
      schema = string.match(p or '', '^(%d+):') or '0'
      return nil, #schema <= 16 and tonumber(schema) > 1 and 2 or 1
    end
    if #string.gsub(rest, ':%d+:%d+:%d+', '') > 0 then
      return nil, 1
    end
    local r = {v = tonumber(v)}
    r.n, r.e, r.w, r.f = bands(rest)
    if r.n > BANDS or r.v > BIG then
      return nil, 1
    end
    for i = 1, r.n do
      local e, w, f = r.e[i], r.w[i], r.f[i]
      if e < 1 or e > MAX or w < 1 or f < w or f > MAX or (i > 1 and f / w <= r.f[i - 1] / r.w[i - 1]) then
        return nil, 1
      end
    end
    return r
  end

  -- better: whether the rule a wins over the rule b at once.
  function better(a, b)
    if a.v ~= b.v then
      return a.v > b.v
    end
    for i = 1, min(a.n, b.n) do
      local ae, aw, be, bw = a.e[i], a.w[i], b.e[i], b.w[i]
      local mine, theirs, burst, other = floor(aw / ae), floor(bw / be), a.f[i] / aw, b.f[i] / bw
      if mine ~= theirs then
        return mine > theirs
      elseif burst ~= other then
        return burst < other
      elseif ae ~= be then
        return ae < be
      elseif aw ~= bw then
        return aw > bw
      end
    end
    return a.n > b.n
  end

  -- rescale: what c credits of the band i of the rule b are of the band j of the rule a;
  -- products stay below 2^53.
  local function rescale(a, j, b, i, c)
    local af, aw, bf, bw = a.f[j], a.w[j], b.f[i], b.w[i]
    if c < 0 then
      return -min(floor((-c + bw - 1) / bw), af / aw) * aw
    end
    local quantum = floor((bf + 67108863) / 67108864)
    local parts = floor((bf + quantum - 1) / quantum)
    local held = floor(c / quantum)
    return floor(af / parts) * held + floor(af % parts * held / parts)
  end

  -- carry: what credits under the rule b are under the rule a. A band goes on from the one
  -- of the same rate, those left over from each other in order; further ones are full.
  function carry(how, a, b, c)
    local carried, heirs, taken = copy(a.f), {}, {}
    for i = 1, b.n do
      for j = 1, a.n do
        if b.e[i] == a.e[j] and b.w[i] == a.w[j] then
          heirs[i], taken[j] = j, true
        end
      end
    end
    for i = 1, b.n do
      for j = 1, a.n do
        if not heirs[i] and not taken[j] then
          heirs[i], taken[j] = j, true
        end
      end
      if heirs[i] then
        local j = heirs[i]
        if how == 't' and c[i] >= 0 then
          carried[j] = min(floor(c[i] / b.w[i]), a.f[j] / a.w[j]) * a.w[j]
        elseif how ~= 'r' then
          carried[j] = rescale(a, j, b, i, c[i])
        end
      end
    end
    return carried
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
  for i = 1, #c do
    c[i] = format('%.0f', c[i])
  end
  if h.err then
    redis.call('DEL', KEYS[k])
  end
  if h[3] == p then
    redis.call('HSET', KEYS[k], 'c', table.concat(c, ','), 'u', format('%.0f', u))
  else
    redis.call('HSET', KEYS[k], 'c', table.concat(c, ','), 'u', format('%.0f', u), 'p', p)
  end
  if d > 0 or x ~= 0 or b ~= '' or h[4] or h[5] or h[6] then
    rare()
    keep(k, 'd', format('%.0f', d), '0', h[4])
    keep(k, 'x', format('%.0f', x), '0', h[5])
    keep(k, 'b', b, '', h[6])
  end
  redis.call('PEXPIRE', KEYS[k], format('%.0f', floor(full_in / 1000) + 1001))
end

-- legible: whether c are credits of n bands that hold f at most.
local function legible(c, n, f)
  if not c or #c ~= n then
    return false
  end
  for i = 1, n do
    if not (c[i] >= -f[i] and c[i] <= f[i] and c[i] % 1 == 0) then
      return false
    end
  end
  return true
end

local out, o, at = {1, now, 0}, 3, 3 -- the reply and how long it is; where in ARGV
local writes = {} -- of all but the last bucket: nothing is written before all is decided

-- decide decides on the bucket k, of which h is stored, and leaves it to be written.
local function decide(k, h)
  local mark, how, p, rest = string.match(args[at], '^(!?)([tr]?)(1:%d+(:[%d:]+))$')
  local heal, asks = mark == '!', tonumber(args[at + 1])
  local n, e, w, f = bands(rest)
  local mine, stored, foreign, changed, wrong = nil, nil, 0, false, 0
  if h.err then
    wrong = 1
  end
  local c, u, d, x, b = copy(f), now, 0, 0, ''
  local there = h[1] or h[2] or h[3]
  if there then
    -- Read with care: another program, or a person, may have written it.
    c, u, d, x, b = credits(h[1]), tonumber(h[2]), tonumber(h[4] or 0), tonumber(h[5] or 0), h[6] or ''
    if h[3] ~= p then
      rare()
      stored, wrong = read_rule(h[3])
      wrong = wrong or 0
    end
    if wrong == 0 and not (legible(c, stored and stored.n or n, stored and stored.f or f) and u and d and x
      and u >= 0 and u <= BIG and u % 1 == 0 and d >= 0 and d <= TURN and d % 1 == 0
      and x >= -CLAIM and x <= CLAIM and x % 1 == 0 and #b <= 200 and not string.find(b, '[^%d,]')) then
      wrong = 1
    end
  end
  if wrong == 1 and heal then
    there, stored, changed, wrong = nil, nil, true, 0
    c, u, d, x, b, h = copy(f), now, 0, 0, '', {err = true}
  end

  if wrong ~= 0 then
    c, n = {}, 0 -- and nothing is decided
  elseif there then
    -- Bring the state to now.
    if stored then
      mine = read_rule(p)
      n, e, w, f = stored.n, stored.e, stored.w, stored.f
    end
    local elapsed, full = now - u, true
    if elapsed < -SKEW then
      u, changed = now, true -- kept, or the bucket would wait for the clock to come back
    elseif elapsed > 0 then
      u = now
      d = d > elapsed and d - elapsed or 0
      x = x > 0 and min(x + elapsed, CLAIM) or x < 0 and x - elapsed > -CLAIM and x - elapsed or 0
    end
    for i = 1, n do
      if elapsed > 0 then
        c[i] = min(c[i] + e[i] * min(elapsed, floor((f[i] - c[i] + e[i] - 1) / e[i])), f[i])
      end
      full = full and c[i] == f[i]
    end
    -- Settle whose numbers decide. A full bucket is as good as none, unless two
    -- are brought: else each time that it is full the other one's burst could be had.
    if full and d == 0 and (x == 0 or x >= CLAIM) then
      if stored then
        n, e, w, f = mine.n, mine.e, mine.w, mine.f
      end
      c, x, b, changed = copy(f), 0, '', false
    elseif not stored then
      if x > 0 then
        x, changed = -1, true
      end
    elseif better(mine, stored) or x >= CLAIM then
      x = better(mine, stored) and -1 or 0
      c, changed = carry(how, mine, stored, c), true
      n, e, w, f = mine.n, mine.e, mine.w, mine.f
    else
      foreign, p = 1, h[3]
      if x <= 0 then
        x, changed = 1, true
      end
    end
  end
  out[o + 1], out[o + 2] = wrong, foreign
  o, at = o + 2, at + 2

  local token, peeked = 0, not h.err -- of a band that denied; a peek writes nothing, but it heals
  for _ = 1, asks do
    local cost, count = tonumber(args[at]), tonumber(args[at + 1])
    local granted, left, retry, band, turn = 0, nil, 0, 1, count < 0
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
        for i = 1, n do
          c[i] = max(c[i] - max(min(cost, f[i] / w[i]), 0) * w[i], -f[i])
        end
      end
    elseif wrong ~= 0 then
      granted = 0
    elseif cost == 0 then
      granted, changed = count, changed or turn
    elseif cost < 0 or cost * w[1] > f[1] then
      retry = -1
    else
      granted = count
      for i = 1, n do
        granted = c[i] > 0 and min(granted, floor(c[i] / (cost * w[i]))) or 0
      end
      for i = 1, n do
        c[i] = c[i] - granted * cost * w[i]
      end
      changed = changed or granted > 0
    end
    for i = 1, n do
      local want = max(cost, 1) * w[i]
      if retry >= 0 and count ~= 0 and (cost == 0 or granted < count) and c[i] < want then
        local wait = floor((want - c[i] + e[i] - 1) / e[i])
        if wait > retry then
          retry, band = wait, i
        end
      end
      local tokens = c[i] > 0 and floor(c[i] / w[i]) or 0
      left = left and min(left, tokens) or tokens
    end
    if turn and retry > 0 and granted < count then
      token, retry = max(token, floor((w[band] + e[band] - 1) / e[band])), max(retry, d)
    end
    out[o + 1], out[o + 2], out[o + 3], out[o + 4] = granted, left or 0, retry, band - 1
    o = o + 4
  end
  if token > 0 then
    d, changed = min(d + token, TURN), true
  end
  if changed and not peeked then
    local full_in = d
    for i = 1, n do
      full_in = max(full_in, floor((f[i] - c[i] + e[i] - 1) / e[i]))
    end
    if x ~= 0 then
      full_in = max(full_in, CLAIM - math.abs(x))
    end
    full_in = full_in + u - now -- the clock may have stepped back behind u
    writes[#writes + 1] = {k, c, u, p, d, x, b, h, full_in}
  end
end

for k = 1, #KEYS do
  local h = redis.pcall('HMGET', KEYS[k], 'c', 'u', 'p', 'd', 'x', 'b')
  if h.err and not string.find(h.err, 'WRONGTYPE', 1, true) then
    return redis.error_reply(h.err)
  end
  local granted, c, left, ms, claim
  if args[at + 1] == '1' then
    granted, c, left, ms, claim = short(args[at], h, tonumber(args[at + 2]), tonumber(args[at + 3]))
  end
  if granted then
    out[o + 1], out[o + 2], out[o + 3], out[o + 4], out[o + 5], out[o + 6] = 0, 0, granted, left, 0, 0
    o, at = o + 6, at + 4
    writes[#writes + 1] = {k, c, ms, claim or false}
  else
    decide(k, h)
  end
end
for i = 1, #writes do
  local it = writes[i]
  if #it == 4 then
    keep_short(unpack(it))
  else
    write(unpack(it))
  end
end
return out
