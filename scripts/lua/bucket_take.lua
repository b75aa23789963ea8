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
--            l  something is lent: "<room>:<until>", no lease may take that many tokens of
--               the burst before then, Unix ms; absent = nothing, and no room is kept
--            k  Unix ms until which nothing is granted; absent = it is not blocked
--            w  µs after u at which c holds: before, all is promised to those who wait;
--               absent = 0
--            f  "1" = a full bucket is remembered for an hour after u; absent = it is as
--               good as none
--            r  whose returns were heeded lately: "<start>:<seq>:<Unix s>,…"; absent = none
--            "<start>.<seq>"  of each lease "<tokens>:<end>": what may be unspent until
--               that tenth of a second of Unix time
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- then for each run of keys that are asked the same
--          p as above, behind a "!" to start afresh if what is there cannot be read, and
--          a "t" to keep whole tokens or an "r" to begin full where other numbers change,
--          and "f<tokens>;" if a bucket that is not there begins with so many;
--          how many keys it is; the number of asks,
--          and for each ask: cost, tokens, 0 = a look; count, negative = the asker
--          takes a turn, or of a look that the bucket is written as it is;
--          a count of 0 is a bill, whose id follows;
--          a count of "l" asks for a lease: the cost is the fewest tokens that are worth
--          it, and there follow the most, negative = the asker takes a turn, 0 = only tell
--          of leases; start and seq of the lease to be; how many ms it is to live; the seq
--          of this holder's oldest lease that is not spent; what is left of that one; and
--          1 = its holder has stopped to spend it, so what is left goes back;
--          a count of "o" is an operator's order: there follow how many tokens are added,
--          and for how many ms nothing is granted, 0 = a block ends, negative = as it is;
--          a count of "w" asks for a place in the queue: there follows how many µs away
--          it may be;
--          a count of "r" changes what was taken before: the tokens of the cost go back,
--          unless somebody waits, or negative are taken, into debt if need be; there follow start and seq, each
--          of which is heeded once and none before a later one; and when the place they
--          were for is due, Unix µs, 0 = they were for none, and its step
-- Returns  {1, now µs, stale 0|1}, and unless stale for each key
--          below 0 = its one ask was granted whole, by the numbers that it brought, and
--          -1 less that are the tokens remaining; else
--          state 0 = decided | 1 = unreadable | 2 = of a newer schema, foreign 0|1,
--          and for each ask: granted, remaining tokens in the band that has the fewest,
--          retry after µs (-1 = never: the cost is above the burst, or below 0; of a place
--          that is granted, how far away it is), and the
--          band that must be waited for so long, 0 = the first; of a place that is granted
--          its step instead, the µs that it is due after all before it
-- All numbers are integers below 2^53. Nothing is written before everything is decided.
local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 1}
end

local floor, abs, format = math.floor, math.abs, string.format

-- A key goes a second after the first whole second at which its bucket is full: so that of
-- takes that move that instant by less, most need not move the end of the key. lasting is
-- for how many ms it has to be kept, when it is full so many us after now.
local SECOND = 1000000 -- us
local function lasting(full_in)
  return floor(((floor((now + full_in) / SECOND) + 1) * SECOND - now) / 1000)
end

-- short decides one ask of one bucket of one band with nothing unusual about it, granted
-- whole: that is most calls, and the way below takes longer. h is all that is stored: such
-- a bucket has three fields, in the order in which they were first written. It returns the
-- credits and tokens left, for how many ms the key has to be kept, or nil if that is known,
-- and the claim if there was no bucket; or nil, for the way below. The two agree wherever this one answers.
local known, e, w, f, stamp -- the claim read last, its numbers, and now as it is stored
local function short(p, h, cost, count)
  if p ~= known then
    e, w, f = string.match(p, '^1:%d+:(%d+):(%d+):(%d+)$')
    known, e, w = p, tonumber(e or ''), tonumber(w or '')
    f = e and f * w
  end
  if not e or cost <= 0 or not count or count == 0 then
    return nil
  end
  local c, claim, known_to = f, nil, -1
  if #h == 6 and h[1] == 'c' and h[3] == 'u' and h[6] == p then
    local u = tonumber(h[4])
    c = tonumber(h[2])
    if not c or not u or c < 0 or c > f or c % 1 ~= 0 or u < 0 or u > now or u % 1 ~= 0 then
      return nil
    end
    known_to = floor((u + floor((f - c) / e)) / SECOND)
    c = (now - u) * e < f - c and c + (now - u) * e or f
  elseif #h == 0 and not h.err then
    claim = p
  else
    return nil
  end
  count = abs(count)
  if c < count * cost * w then
    return nil
  end
  c = c - count * cost * w
  local full_in = floor((f - c) / e)
  if floor((now + full_in) / SECOND) == known_to then
    return c, floor(c / w)
  end
  return c, floor(c / w), lasting(full_in), claim
end

-- keep_short stores what short left.
local function keep_short(k, c, ms, claim)
  stamp = stamp or format('%.0f', now)
  if claim then
    redis.call('HSET', KEYS[k], 'c', format('%.0f', c), 'u', stamp, 'p', claim)
  else
    redis.call('HSET', KEYS[k], 'c', format('%.0f', c), 'u', stamp)
  end
  if ms then
    redis.call('PEXPIRE', KEYS[k], format('%.0f', ms + 1001))
  end
end

local args = ARGV
local first -- what is stored of the first bucket
if #args == 7 and #KEYS == 1 then
  first = redis.pcall('HGETALL', KEYS[1])
  local c, left, ms, claim = short(args[3], first, tonumber(args[6]), tonumber(args[7]))
  if c then
    keep_short(1, c, ms, claim)
    return {1, now, 0, -1 - left}
  end
end

local SKEW, TURN, CLAIM, BILLS, BANDS = 5000000, 1000000, 60000000, 8, 4
local LEASES, LIFE, ROOM, TENTH = 512, 10000, 500, 100000 -- of one bucket; ms, ms, us
local BLOCK = 315360000000 -- ms, ten years
local WAIT, DEBTS = 3600000000, 10 -- us; empty buckets
local RETURNS, RETURN = 256, 10000000 -- us
local FIRST = 3600000000 -- us
local MAX, BIG = 562949953421312, 9007199254740991 -- 2^49, 2^53 - 1
local min, max, gmatch = math.min, math.max, string.gmatch

-- PLACES are those of the fields in what decide is given.
local PLACES = {c = 1, u = 2, p = 3, d = 4, x = 5, b = 6, l = 7, k = 8, w = 9, r = 10, f = 11}

-- placed puts what is stored in its places; false = there is none.
local function placed(all)
  local h = {false, false, false, false, false, false, false, false, false, false, false, all = all, err = all.err}
  for i = 1, #all, 2 do
    local place = PLACES[all[i]]
    if place then
      h[place] = all[i + 1]
    end
  end
  return h
end

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

-- cap: up to how many credits a band is refilled beside tokens that are lent.
local function cap(w, f, lent)
  return f - min(lent, f / w) * w
end

-- give_back adds tokens to each band, as far as there is room beside those that are lent.
local function give_back(c, n, w, f, tokens, lent)
  for i = 1, n do
    local back = min(tokens, (DEBTS + 1) * f[i] / w[i]) * w[i] -- from the deepest debt to a full bucket
    c[i] = max(c[i], min(c[i] + back, cap(w[i], f[i], lent)))
  end
end

-- refill: what c are after so many µs, if there is room for so many.
local function refill(c, e, elapsed, room)
  return c < room and min(c + e * min(elapsed, floor((room - c + e - 1) / e)), room) or c
end

-- earn refills each band from one instant to another: before a lease ends, there is
-- room for less. Where the second is not later than the first nothing happens.
local function earn(s, c, from, to, n, e, w, f)
  local sum = s and s.sum or 0
  for j = 1, s and #s.live or 0 do
    local ends = s.live[j].ends * TENTH
    if ends <= to then
      if ends > from then
        for i = 1, n do
          c[i] = refill(c[i], e[i], ends - from, cap(w[i], f[i], sum))
        end
        from = ends
      end
      sum = sum - s.live[j].tokens
    end
  end
  if to > from then
    for i = 1, n do
      c[i] = refill(c[i], e[i], to - from, cap(w[i], f[i], sum))
    end
  end
end

-- due: when a band has want credits if nothing more is taken or lent, in µs after at,
-- when it has c: the leases in the way have to end first.
local function due(s, c, at, e, w, f, want)
  if c >= want then
    return 0
  end
  local from, sum = at, s and s.sum or 0
  for j = 1, s and #s.live or 0 do
    local one, room = s.live[j], cap(w, f, sum)
    local ends = one.ends * TENTH
    if ends > at then
      if want <= room then
        break
      end
      c = refill(c, e, ends - at, room)
      at = ends
    end
    sum = sum - one.tokens
  end
  return at - from + max(floor((want - c + e - 1) / e), 0)
end

-- wait_for: in how many µs after u tokens are there in all bands, and the first of those
-- that take so long. Those who wait come first.
local function wait_for(tokens, s, c, u, q, n, e, w, f)
  local wait, band = 0, 1
  for i = 1, n do
    local one = q + due(s, c[i], u + q, e[i], w[i], f[i], tokens * w[i])
    if one > wait then
      wait, band = one, i
    end
  end
  return wait, band
end

-- lends: whether a bucket lends something at u, or keeps room.
local function lends(s, u)
  return s and (#s.live > 0 or s.till * 1000 > u)
end

-- sort puts the leases that end first before the others.
local function sort(live)
  table.sort(live, function(one, other)
    return one.ends < other.ends
  end)
end

-- lending makes the functions for what buckets lend. A loan s is the leases of a bucket:
-- live, those that end first before the others, their tokens in sum, the room that is
-- kept until, and drop, the fields of those that ended. A lease that changed is marked.
local read_loan, expire, shift, tell, lendable, lend, make_room, keep_loan
local function lending()
  -- read_loan reads what is lent at u, of all that is stored; nil if it cannot be read.
  function read_loan(all, l, u)
    local room, till = string.match(l, '^(%d+):(%d+)$')
    local s = {live = {}, sum = 0, room = tonumber(room or 0) or BIG, till = tonumber(till or 0) or BIG + 1, drop = {}}
    if not room or s.room > MAX or s.till > BIG then
      return nil
    end
    if #all > 2 * (LEASES + 32) then
      return nil
    end
    for i = 1, #all, 2 do
      local start, seq = string.match(all[i], '^(%w+)%.(%d+)$')
      if start then
        local tokens, ends = string.match(all[i + 1], '^(%d+):(%d+)$')
        local one = {name = all[i], start = start, seq = tonumber(seq) or BIG + 1}
        one.tokens, one.ends = tonumber(tokens or 0) or BIG, tonumber(ends or 0) or BIG
        if one.tokens < 1 or one.tokens > MAX or one.seq > BIG or one.ends * TENTH > u + 2000 * LIFE then
          return nil
        end
        s.live[#s.live + 1] = one
        s.sum = s.sum + one.tokens
      end
    end
    if s.sum > MAX or #s.live > LEASES then
      return nil
    end
    sort(s.live)
    return s
  end

  -- expire drops the leases that have ended by now.
  function expire(s, now)
    local live = {}
    for j = 1, #s.live do
      local one = s.live[j]
      if one.ends * TENTH > now then
        live[#live + 1] = one
      else
        s.sum = s.sum - one.tokens
        s.drop[#s.drop + 1] = one.name
      end
    end
    s.live = live
  end

  -- shift moves the leases with a clock that stepped back so far.
  function shift(s, back)
    s.till = max(s.till - floor(back / 1000), 0)
    for _, one in ipairs(s.live) do
      one.ends = max(one.ends - floor(back / TENTH), 0)
      one.changed = true
    end
  end

  -- tell does what a holder says of its leases, and reports whether that changed anything.
  function tell(s, c, n, w, f, start, seq, spent, left, sealed)
    local live, back, wrote = {}, 0, false
    for j = 1, #s.live do
      local one = s.live[j]
      if one.start == start and one.seq < seq and one.seq <= spent then
        local rest = one.seq == spent and max(min(left, one.tokens), 0) or 0
        if rest < one.tokens or sealed then
          wrote = true
          if sealed then
            back = back + rest
            rest = 0
          end
          s.sum = s.sum - one.tokens + rest
          one.tokens = rest
          one.changed = true
          if rest == 0 then
            s.drop[#s.drop + 1] = one.name
          end
        end
      end
      if one.tokens > 0 then
        live[#live + 1] = one
      end
    end
    s.live = live
    give_back(c, n, w, f, back, s.sum)
    return wrote
  end

  -- lendable: how many tokens may be lent: what is there, while leases have no more than
  -- half of the burst and leave the room that is kept.
  function lendable(s, c, u, n, w, f, most)
    local burst = f[1] / w[1]
    if #s.live >= LEASES then
      return 0
    end
    most = min(most, floor(burst / 2) - s.sum)
    if s.till * 1000 > u then
      most = min(most, burst - s.room - s.sum)
    end
    for i = 1, n do
      most = min(most, c[i] > 0 and floor(c[i] / w[i]) or 0)
    end
    return most
  end

  -- lend takes tokens out of the bucket and remembers who has them.
  function lend(s, c, u, n, w, start, seq, ms, tokens)
    local one = {name = start .. '.' .. format('%.0f', seq), start = start, seq = seq, tokens = tokens, changed = true}
    one.ends = floor((u + ms * 1000 + TENTH - 1) / TENTH)
    for i = 1, n do
      c[i] = c[i] - tokens * w[i]
    end
    s.live[#s.live + 1] = one
    s.sum = s.sum + tokens
    sort(s.live)
  end

  -- make_room keeps leases from taking the place of a cost that was denied and does not
  -- fit beside them, until it has asked again.
  function make_room(s, u, cost, retry)
    if s.till * 1000 <= u then
      s.room = 0
    end
    s.room = max(s.room, cost)
    s.till = max(s.till, floor((u + retry + 999) / 1000) + ROOM)
  end

  -- keep_loan stores what changed of leases.
  function keep_loan(k, s, h, u)
    if #s.drop > 0 and not h.err then
      redis.call('HDEL', KEYS[k], unpack(s.drop))
    end
    for _, one in ipairs(s.live) do
      if one.changed then
        redis.call('HSET', KEYS[k], one.name, format('%.0f:%.0f', one.tokens, one.ends))
      end
    end
    keep(k, 'l', lends(s, u) and format('%.0f:%.0f', s.room, s.till) or '', '', h[7])
  end
end

-- returning makes the functions for what changes what was taken before.
local forget, owe, heed, skip, leave
local function returning()
  -- forget drops the returners whose returns were so long ago that none can come again,
  -- and tells when the last of the others is.
  function forget(r, u)
    local kept, last = {}, 0
    for one, second in gmatch(r, '(%w+:%d+:(%d+))') do
      local over = (min(tonumber(second), floor(u / 1000000)) + 1) * 1000000 + RETURN
      if over > u then
        kept[#kept + 1] = one
        last = max(last, over)
      end
    end
    return table.concat(kept, ','), last
  end

  -- heed: those who are remembered with this return; nil if it is an old one, or there
  -- is no room.
  function heed(r, u, start, seq)
    local kept = {}
    for one, who, number in gmatch(r, '((%w+):(%d+):%d+)') do
      if who ~= start then
        kept[#kept + 1] = one
      elseif tonumber(number) >= seq then
        return nil
      end
    end
    if #kept >= RETURNS then
      return nil
    end
    kept[#kept + 1] = start .. ':' .. format('%.0f:%.0f', seq, floor(u / 1000000))
    return table.concat(kept, ',')
  end

  -- owe takes tokens, into debt where they are not there, as far as that goes.
  function owe(c, n, w, f, tokens)
    for i = 1, n do
      tokens = min(tokens, floor((c[i] + DEBTS * f[i]) / w[i]))
    end
    tokens = max(tokens, 0)
    for i = 1, n do
      c[i] = c[i] - tokens * w[i]
    end
    return tokens
  end

  -- skip takes back a place so many us before the end of the queue: it brings back what
  -- is certain to be left of it then.
  function skip(c, behind, n, e, w, f, lent, tokens)
    local x, most = {}, 0
    for i = 1, n do
      local all = tokens * w[i]
      x[i] = 0
      if behind < floor((all + e[i] - 1) / e[i]) then
        x[i] = floor((all - e[i] * behind) / w[i]) * w[i]
      end
      most = max(most, x[i] / w[i])
    end
    for i = 1, most > 0 and n or 0 do
      c[i] = max(c[i], min(c[i] + x[i], cap(w[i], f[i], lent)))
    end
    return most
  end

  -- leave gives up a place in the queue, and returns how many tokens that brought back
  -- and how far the last place is away now. With others behind, it brings back what they
  -- left of it; of the last, the bucket goes back by its step, to where it has nothing left
  -- at most.
  function leave(c, u, q, n, e, w, f, lent, at, step, tokens)
    if tokens < 1 or tokens * w[1] > f[1] or at <= u or at > u + q then
      return 0, q
    end
    local x, back = {}, min(q, max(step, 0))
    if at == u + q then
      for i = 1, n do
        x[i] = min(c[i] + tokens * w[i], f[i])
        back = min(back, floor(max(x[i], 0) / e[i]))
      end
      for i = 1, n do
        c[i] = min(x[i] - e[i] * back, cap(w[i], f[i], lent))
      end
      return tokens, q - back
    end
    return skip(c, u + q - at, n, e, w, f, lent, tokens), q
  end
end

-- write stores a bucket that changed; h is what was there.
local function write(k, c, u, p, d, x, b, h, full_in, s, blocked, q, r, kept)
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
  if s then
    rare()
    keep_loan(k, s, h, u)
  end
  if blocked > 0 or h[8] then
    rare()
    keep(k, 'k', format('%.0f', blocked), '0', h[8])
  end
  if q > 0 or r ~= '' or h[9] or h[10] then
    rare()
    keep(k, 'w', format('%.0f', q), '0', h[9])
    keep(k, 'r', r, '', h[10])
  end
  if kept or h[11] then
    rare()
    keep(k, 'f', kept and '1' or '', '', h[11])
  end
  redis.call('PEXPIRE', KEYS[k], format('%.0f', lasting(full_in) + 1001))
end

-- legible: whether c are credits of n bands that hold f at most, and owe no more than they may.
local function legible(c, n, f)
  if not c or #c ~= n then
    return false
  end
  for i = 1, n do
    if not (c[i] >= -DEBTS * f[i] and c[i] <= f[i] and c[i] % 1 == 0) then
      return false
    end
  end
  return true
end

local out, o, at = {1, now, 0}, 3, 3 -- the reply and how long it is; where in ARGV
local writes = {} -- of all but the last bucket: nothing is written before all is decided

-- decide decides on the bucket k, of which h is stored, and leaves it to be written.
local function decide(k, h)
  local mark, how, first, p, rest = string.match(args[at], '^(!?)([tr]?)(f?%d*;?)(1:%d+(:[%d:]+))$')
  first = tonumber(string.sub(first, 2, -2))
  local heal, asks = mark == '!', tonumber(args[at + 2])
  local n, e, w, f = bands(rest)
  local mine, stored, foreign, changed, wrong = nil, nil, 0, false, 0
  if h.err then
    wrong = 1
  end
  local c, u, d, x, b, s = copy(f), now, 0, 0, '', nil
  local fresh = true -- there is no bucket, or none that is remembered
  local blocked, q, r, heard = 0, 0, '', 0
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
    blocked = tonumber(h[8] or 0) or -1
    if blocked < 0 or blocked > BIG / 1000 or blocked % 1 ~= 0 then
      wrong = wrong == 0 and 1 or wrong
    end
    q = tonumber(h[9] or 0) or -1
    r = h[10] or ''
    if q < 0 or q > WAIT or q % 1 ~= 0 or #r > 48 * RETURNS or string.find(r, '[^%w:,]') then
      wrong = wrong == 0 and 1 or wrong
    end
    if h[11] and h[11] ~= '1' then
      wrong = wrong == 0 and 1 or wrong
    end
    if wrong == 0 and h[7] then
      lending()
      s = read_loan(h.all, h[7], u)
      wrong = s and 0 or 1
    end
  end
  if wrong == 1 and heal then
    there, stored, changed, wrong, s = nil, nil, true, 0, nil
    c, u, d, x, b, h = copy(f), now, 0, 0, '', {err = true}
    blocked, q, r = 0, 0, ''
  end

  if wrong ~= 0 then
    c, n, fresh = {}, 0, false -- and nothing is decided
  elseif there then
    fresh = false
    -- Bring the state to now.
    if stored then
      mine = read_rule(p)
      n, e, w, f = stored.n, stored.e, stored.w, stored.f
    end
    local elapsed, full = now - u, true
    if elapsed < -SKEW then
      if s then
        shift(s, -elapsed)
      end
      if r ~= '' then
        r = string.gsub(r, '(%w+:%d+:)(%d+)', function(one, second)
          return one .. format('%.0f', max(tonumber(second) - floor(-elapsed / 1000000), 0))
        end)
      end
      blocked = max(blocked - floor(-elapsed / 1000), 0)
      u, changed = now, true -- kept, or the bucket would wait for the clock to come back
    elseif elapsed > 0 then
      if s then
        earn(s, c, u + q, now, n, e, w, f)
        expire(s, now)
      end
      u = now
      if blocked * 1000 <= u then
        blocked = 0
      end
      d = d > elapsed and d - elapsed or 0
      x = x > 0 and min(x + elapsed, CLAIM) or x < 0 and x - elapsed > -CLAIM and x - elapsed or 0
    end
    for i = 1, n do
      if elapsed > q and not s then
        c[i] = min(c[i] + e[i] * min(elapsed - q, floor((f[i] - c[i] + e[i] - 1) / e[i])), f[i])
      end
      full = full and c[i] == f[i]
    end
    q = elapsed > 0 and max(q - elapsed, 0) or q
    if r ~= '' then
      returning()
      r, heard = forget(r, u)
    end
    -- Settle whose numbers decide. A full bucket is as good as none, unless two
    -- are brought: else each time that it is full the other one's burst could be had.
    if full and d == 0 and (x == 0 or x >= CLAIM) and blocked == 0 and q == 0 and r == '' and not lends(s, u) then
      if stored then
        n, e, w, f = mine.n, mine.e, mine.w, mine.f
      end
      c, x, b, changed = copy(f), 0, '', false
      fresh = not h[11] or elapsed >= FIRST
    elseif not stored then
      if x > 0 then
        x, changed = -1, true
      end
    elseif better(mine, stored) or x >= CLAIM then
      x = better(mine, stored) and -1 or 0
      c, d, changed = carry(how, mine, stored, c), 0, true -- turns were of the old one's time
      n, e, w, f = mine.n, mine.e, mine.w, mine.f
      local lent = s and s.sum or 0
      for i = 1, n do
        c[i] = min(c[i], cap(w[i], f[i], lent))
      end
    else
      foreign, p = 1, h[3]
      if x <= 0 then
        x, changed = 1, true
      end
    end
  end
  if fresh and first then
    for i = 1, n do
      local tokens = min(first, f[i] / w[i])
      changed = changed or tokens * w[i] < f[i]
      c[i] = tokens * w[i]
    end
  end
  out[o + 1], out[o + 2] = wrong, foreign
  o, at = o + 2, at + 3

  local token, peeked = 0, not h.err -- of a band that denied; a peek writes nothing, but it heals
  for _ = 1, asks do
    local cost, count = tonumber(args[at]), tonumber(args[at + 1])
    local lease = args[at + 1] == 'l'
    local order = args[at + 1] == 'o'
    local place, back = args[at + 1] == 'w', args[at + 1] == 'r'
    if lease then
      count = tonumber(args[at + 2])
    elseif order or place or back then
      count = 1
    end
    local granted, left, retry, band, denied = 0, nil, 0, 1, false
    local turn = count < 0
    at = at + 2
    local ahead = place and tonumber(args[at]) or 0
    if place then
      at = at + 1
    end
    if turn then
      count = -count
    end
    if lease or order or back or turn or cost ~= 0 or count == 0 then
      peeked = false
    end
    if lease then
      local start, seq, ms, spent, rest = args[at + 1], tonumber(args[at + 2]), tonumber(args[at + 3]),
        tonumber(args[at + 4]), tonumber(args[at + 5])
      local sealed = args[at + 6] == '1'
      at = at + 7
      if wrong == 0 and (cost < 1 or cost * w[1] > f[1] or ms < 1 or ms > LIFE or seq < 1) then
        retry = -1
      elseif wrong == 0 then
        local same
        if s then
          changed = tell(s, c, n, w, f, start, seq, spent, rest, sealed) or changed
          for j = 1, #s.live do
            same = same or s.live[j].start == start and s.live[j].seq == seq and s.live[j]
          end
        else
          lending()
          s = {live = {}, sum = 0, room = 0, till = 0, drop = {}}
        end
        if count > 0 and blocked * 1000 > u then
          denied = true
        elseif same then
          granted = min(same.tokens, count)
        elseif count > 0 then
          granted = q == 0 and lendable(s, c, u, n, w, f, count) or 0
          denied = granted < cost
          if denied then
            granted = 0
          else
            lend(s, c, u, n, w, start, seq, ms, granted)
            changed = true
          end
        end
      end
    elseif order then
      local more, ms = tonumber(args[at]), tonumber(args[at + 1])
      at, granted = at + 2, 1
      if wrong == 0 then
        changed = true
        if more >= (DEBTS + 1) * f[n] / w[n] then
          q = 0 -- it is to be full
        end
        give_back(c, n, w, f, max(more, 0), s and s.sum or 0)
        if ms >= 0 then
          blocked = ms > 0 and floor((u + 999) / 1000) + min(ms, BLOCK) or 0
        end
      end
    elseif back then
      local start, seq, leaves = args[at], tonumber(args[at + 1]), tonumber(args[at + 2])
      local step = tonumber(args[at + 3])
      at = at + 4
      returning()
      local kept = wrong == 0 and heed(r, u, start, seq)
      if kept then
        local lent = s and s.sum or 0
        if leaves ~= 0 then
          granted, q = leave(c, u, q, n, e, w, f, lent, leaves, step, cost)
        elseif cost < 0 then
          granted = owe(c, n, w, f, -cost)
        elseif q == 0 then
          granted = cost
          give_back(c, n, w, f, cost, lent)
        end
        if granted > 0 then
          r, changed = kept, true
          heard = max(heard, (floor(u / 1000000) + 1) * 1000000 + RETURN)
        end
      end
    elseif count == 0 then
      local bill = args[at]
      at = at + 1
      granted = 1
      if wrong == 0 and not string.find(',' .. b .. ',', ',' .. bill .. ',', 1, true) then
        rare()
        b, changed = with_bill(b, bill), true
        for i = 1, n do
          c[i] = max(c[i] - max(min(cost, f[i] / w[i]), 0) * w[i], min(c[i], -f[i]))
        end
      end
    elseif wrong ~= 0 then
      granted = 0
    elseif cost == 0 then
      granted, changed = count, changed or turn
    elseif cost < 0 or cost * w[1] > f[1] then
      retry = -1
    elseif place then
      local wait = max(wait_for(cost, s, c, u, q, n, e, w, f), blocked * 1000 - u)
      local after = wait > 0 and wait + u - now or 0
      if after <= min(ahead, WAIT) and blocked * 1000 <= u then -- a block may end sooner
        earn(s, c, u + q, u + wait, n, e, w, f)
        for i = 1, n do
          c[i] = c[i] - cost * w[i]
        end
        band = 1 + wait - q -- in its place: the step
        q, granted, changed, retry = wait, 1, true, after
      end
    elseif blocked * 1000 <= u and q == 0 then
      granted = count
      for i = 1, n do
        granted = c[i] > 0 and min(granted, floor(c[i] / (cost * w[i]))) or 0
      end
      for i = 1, n do
        c[i] = c[i] - granted * cost * w[i]
      end
      changed = changed or granted > 0
    end
    if not lease and not order and not back then
      denied = count ~= 0 and (cost == 0 or granted < count)
    end
    if wrong == 0 and retry >= 0 and denied then
      retry, band = wait_for(max(cost, 1), s, c, u, q, n, e, w, f)
    end
    for i = 1, n do
      local tokens = q == 0 and c[i] > 0 and floor(c[i] / w[i]) or 0
      left = left and min(left, tokens) or tokens
    end
    if wrong == 0 and denied and retry >= 0 and blocked * 1000 > u then
      retry = max(retry, blocked * 1000 - u)
    end
    if place and cost > 0 and denied and retry > 0 then
      retry = retry + u - now -- a clock that stepped back comes there later
    end
    if retry > 0 and granted < count then
      if turn then
        local tokens = lease and cost or 1
        token, retry = max(token, floor((tokens * w[band] + e[band] - 1) / e[band])), max(retry, d)
      end
      if s and not lease and #s.live > 0 and cost > f[1] / w[1] - s.sum then
        make_room(s, u, cost, retry)
        changed = true
      end
    end
    out[o + 1], out[o + 2], out[o + 3], out[o + 4] = granted, left or 0, retry, band - 1
    o = o + 4
  end
  if token > 0 then
    d, changed = min(d + token, TURN), true
  end
  if changed and not peeked then
    local full_in = max(d, blocked * 1000 - u, heard - u, first and FIRST or 0)
    for i = 1, n do
      full_in = max(full_in, q + due(s, c[i], u + q, e[i], w[i], f[i], f[i]))
    end
    if s and s.till * 1000 > u then
      full_in = max(full_in, s.till * 1000 - u)
    end
    if x ~= 0 then
      full_in = max(full_in, CLAIM - math.abs(x))
    end
    full_in = full_in + u - now -- the clock may have stepped back behind u
    writes[#writes + 1] = {k, c, u, p, d, x, b, h, full_in, s or false, blocked, q, r, first and true or false}
  end
end

-- What short decided is kept in lists, beside each other: a table for each takes longer.
local kept, kc, kms, kclaim, n = {}, {}, {}, {}, 0
local run, begin, cost, count = 0, at, nil, nil -- how many more keys are asked what begins there
for k = 1, #KEYS do
  local c, left, ms, claim
  local all = first or redis.pcall('HGETALL', KEYS[k])
  first = nil
  if run == 0 then
    begin, run, cost, count = at, tonumber(args[at + 1]), nil, nil
    if args[at + 2] == '1' then
      cost, count = tonumber(args[at + 3]), tonumber(args[at + 4])
    end
  end
  at, run = begin, run - 1
  if count then
    c, left, ms, claim = short(args[at], all, cost, count)
  end
  if c then
    o, at, n = o + 1, at + 5, n + 1
    out[o] = -1 - left
    kept[n], kc[n], kms[n], kclaim[n] = k, c, ms or false, claim or false
  else
    if all.err and not string.find(all.err, 'WRONGTYPE', 1, true) then
      return redis.error_reply(all.err)
    end
    decide(k, placed(all))
  end
end
for i = 1, n do
  keep_short(kept[i], kc[i], kms[i], kclaim[i])
end
for i = 1, #writes do
  write(unpack(writes[i]))
end
return out
