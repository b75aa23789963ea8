-- breaker_step.lua: take what one replica says about a breaker that the fleet shares.
-- Twins, line for line where possible: domain/breaker Fleet.Report and Fleet.Probe.
--
-- KEYS[1]  hash of one breaker; its name is also the channel of its transitions
--            p  whose numbers decide: "1:<the rules>", as in ARGV[9]; 1 = schema
--            x  Unix µs since which other numbers were brought, and these were not; 0 = not
--            e  epoch; grows at each transition
--            y  1 if the epoch began with nothing before it, else 0
--            s  state: 0 closed, 1 half-open, 2 open
--            t, l  when it began, Unix µs, and how long it lasts, µs: open, half-open at most,
--                  or closed the ramp
--            g  reopenings in a row
--            w  when the votes were last swept, Unix µs
--            nb, wb, wa, nr  bad replicas, their weight, all weight, replicas with a vote
--            r:<replica>  its vote: "<seq>:<bad>:<weight>:<at>:<for>:<calls>:<failures>:<open>:<last>";
--                  more may follow, and an older replica writes less
--            b  calls a second of the fleet when it opened, which its ramp rises to; 0 = no ramp
--            a  until when the dependency asked to be left alone, Unix µs; 0 = it did not
--            na, ns, nx, k  half-open: replicas that asked, with a success, without; successes
--            h:<replica>  half-open: a = it asked, s = a probe succeeded, x = its probes did not
--            q  probe leases out: "<token>:<at>:<for>:<replica>;…"
--            o  an operator's last order: "<serial>:<force>:<reset>:<at>:<for>"; see breaker_order.lua
--            ob, or  who gave it, and why
-- KEYS[2]  stream of what happened to it: t = when, k = 1 transition | 2 vote | 3 order, e, s = epoch
--            and state afterwards, r = whose word, l = 1 lost, b, w = bad and weight, o, ob, or = the order
-- ARGV[1]  now, Unix µs; 0 = the server's clock
-- ARGV[2]  not after, Unix µs: later than that nothing is done; 0 = any time
-- ARGV[3]  heal 0|1: start afresh if what is there cannot be read
-- ARGV[4]  report | ask | settle
-- ARGV[5]  replica       ARGV[6]  epoch known to it, 0 = none
-- ARGV[7]  report: sequence number; ask and settle: token of the lease
-- ARGV[8]  settle: outcome 0 success | 1 failure | 2 local failure | 3 ignored; else 0
-- ARGV[9]  the rules that it brings: "1:<version>:<min replicas>:<quorum ‰>:<window>:<recovery>:
--            <longest recovery>:<probes>:<lease>:<successes>:<longest half-open>:<ramp>"; times in µs
-- ARGV[10..15]  report: bad 0|1, weight ‰, for µs, leaving 0|1, calls, failures
-- ARGV[16]  report, settle: for how long the dependency asked to be left alone, µs; 0 = it did not
-- ARGV[17]  report: its own layer is open 0|1
-- ARGV[18]  report: its last trouble: 0 none | 1 failure | 2 slow | 3 its own. This and the one
--            before are kept for people, and count for nothing
-- Returns  {1, now µs, state of the answer, …}, that state being
--          0 = decided, and then: epoch, state, for µs, fresh 0|1, foreign 0|1,
--              granted 0|1, lease µs, serial of an operator's last order,
--              while a ramp lasts its calls a second
--          1 = unreadable | 2 = of a newer schema | 3 = too late | 4 = known epoch too far ahead
-- All numbers are integers below 2^53. Nothing is written before everything is decided.
local CLAIM, AHEAD, DAYS, VOTES, RECORDS = 60000000, 86400000000, 604800000, 1024, '256'
local CALLS, SUM = 2147483648, 8589934592 -- 2^31 of a replica, 2^33 of all, so that µs of them are exact
local WEEK, BIG = 604800000000, 9007199254740991 -- µs; 2^53 - 1

local now, not_after = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
if not_after > 0 and now > not_after then
  return {1, now, 3}
end
local op, me, known, token = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]

-- int reads an integer from 0 to high; else nil, as for NaN and infinity.
local function int(text, high)
  if not text or #text > 16 or not string.match(text, '^%d+$') then
    return nil
  end
  local n = tonumber(text)
  return n <= high and n or nil
end

local claim = ARGV[9]
local said = ARGV[14] .. ':' .. ARGV[15] .. ':' .. ARGV[17] .. ':' .. ARGV[18] -- the end of a vote, which decides nothing
local records, push = {}, nil -- what happened in this call, and what is to be published

-- live lets the key live on for so many µs, and a margin.
local function live(lasts)
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', DAYS + math.ceil(lasts / 1000) + 1000))
end

-- quick takes the report that a fleet makes all the time: about a closed breaker, under the
-- rules in force, by a replica whose opinion stays as it is, and which opens nothing. It
-- returns the reply, what to write and how long it is needed; nil leaves it to slow, as
-- whatever is in any way out of the ordinary. It is there for its speed, looks at no more
-- than it needs, and decides as slow would.
local function quick()
  if op ~= 'report' or ARGV[13] ~= '0' then
    return nil
  end
  local own = 'r:' .. me
  local h = redis.pcall('HMGET', KEYS[1], 'p', own, 'e', 's', 'x', 'y', 't', 'l', 'w', 'nb', 'wb', 'wa', 'o')
  if h.err or h[1] ~= claim or not h[2] or h[3] ~= ARGV[6] or h[4] ~= '0' or h[5] ~= '0' then
    return nil
  end
  local y, t, l, w, nb, wb, wa = h[6], h[7], h[8], h[9], h[10], h[11], h[12]
  if not (y and t and l and w and nb and wb and wa) then
    return nil
  end
  local numbers = table.concat(h, ' ', 6, 12)
  if string.find(numbers, '[^%d ]') or string.find(numbers, '%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d') then
    return nil
  end
  y, t, l, w, nb, wb, wa = tonumber(y), tonumber(t), tonumber(l), tonumber(w), tonumber(nb), tonumber(wb), tonumber(wa)
  if not (y and t and l and w and nb and wb and wa) then
    return nil
  end
  local replicas, quorum, window = string.match(claim, '^1:%d+:(%d+):(%d+):(%d+):')
  -- that the clock stepped back behind t shows in now - t, too
  if not window or y > 1 or w > now or now - w >= tonumber(window) or now - t < l then
    return nil
  end
  local seq, says, weight = string.match(h[2], '^(%d+):([01]):(%d+):%d+:%d+:%d+:[%d:]+$')
  if not seq or #seq > 16 or #weight > 4 or says ~= ARGV[10] or tonumber(seq) >= tonumber(token) then
    return nil
  end
  if says == '1' and ARGV[16] ~= '0' then
    return nil
  end
  local serial, lasts = 0, 0
  if h[13] then
    local at
    serial, at, lasts = string.match(h[13], '^(%d+):%d:[01]:(%d+):(%d+)$')
    if not serial or #serial > 16 or #at > 16 or #lasts > 15 or tonumber(at) > now then
      return nil
    end
    serial, lasts = tonumber(serial), math.max(tonumber(lasts) - (now - tonumber(at)), 0)
  end
  local heavy = math.max(math.min(tonumber(ARGV[11]), 1000), 0)
  local change = heavy - tonumber(weight)
  wa, wb = wa + change, says == '1' and wb + change or wb
  if nb >= tonumber(replicas) and wb * 1000 >= math.max(replicas * 1000000, quorum * wa) then
    return nil
  end
  local counts = math.max(math.min(tonumber(ARGV[12]), WEEK), 0)
  local put = {own, token .. ':' .. says .. string.format(':%.0f:%.0f:%.0f:', heavy, now, counts) .. said}
  if change ~= 0 then
    put[3], put[4] = 'wa', string.format('%.0f', wa)
    if says == '1' then
      put[5], put[6] = 'wb', string.format('%.0f', wb)
    end
  end
  return {1, now, 0, known, 0, 0, y, 0, 0, 0, serial, 0}, put, math.max(l, lasts)
end

-- slow takes whatever a replica says: its reply, what to write and how long it is needed.
local function slow()
  local RULES = {'version', 'replicas', 'quorum', 'window', 'recovery', 'longest', 'probes', 'lease', 'successes', 'half', 'ramp'}

  -- rules reads the numbers of a claim "1:…", and what is wrong with it.
  local function rules(p)
    local schema, rest = string.match(p or '', '^(%d+):([%d:]+)$')
    if schema ~= '1' then
      schema = int(string.match(p or '', '^(%d+):'), BIG)
      return nil, schema and schema > 1 and 2 or 1
    end
    local r, n = {p = p}, 0
    for text in string.gmatch(rest, '%d+') do
      n = n + 1
      r[RULES[n] or ''] = int(text, BIG)
    end
    for i = 1, #RULES do
      local least = (RULES[i] == 'version' or RULES[i] == 'quorum' or RULES[i] == 'ramp') and 0 or 1
      if not r[RULES[i]] or r[RULES[i]] < least then
        return nil, 1 -- a recovery of 0 would double without end
      end
    end
    return r, n == #RULES and 0 or 1
  end

  local mine = rules(claim)
  if not mine then
    return redis.error_reply('ERR no rules: ' .. claim)
  end

  -- better: whether the numbers of a win over those of b at once.
  local function better(a, b)
    for i = 1, #RULES do
      if a[RULES[i]] ~= b[RULES[i]] then
        return a[RULES[i]] > b[RULES[i]]
      end
    end
    return false
  end

  local NUMBERS = {'e', 'y', 's', 't', 'l', 'g', 'x', 'w', 'nb', 'wb', 'wa', 'nr', 'na', 'ns', 'nx', 'k', 'a', 'b'}
  local r, f, leases = mine, nil, {} -- rules in force, state, leases out
  local old = {} -- the fields as they are stored
  local vote, seen -- this replica's own fields
  local order = nil -- an operator's last: serial, force and reset, at, for, who, why
  local again = false -- the hash is written anew, without its old fields
  local moved = false -- the view is to be published

  -- log keeps what happened: its kind, and more by name.
  local function log(kind, ...)
    records[#records + 1] = {
      't', string.format('%.0f', now), 'k', kind, 'e', string.format('%.0f', f.e), 's', string.format('%.0f', f.s), 'r', me, ...
    }
  end

  -- begin makes a fresh closed breaker; turn moves to a new epoch. Both void every vote and lease.
  local function begin(epoch)
    f = {e = epoch, y = 1, s = 0, t = now, l = 0, g = 0, x = 0, w = now}
    for i = 9, #NUMBERS do
      f[NUMBERS[i]] = 0
    end
    leases, vote, seen, again = {}, nil, nil, true
    moved = true
  end

  local function turn(state, lasts, growth)
    local x, b, epoch = f.x, f.b, math.max(now, f.e + 1)
    begin(epoch)
    f.y, f.s, f.l, f.g, f.x, f.b = 0, state, lasts, growth, x, b
    log('1')
  end

  -- alone notes for how long the dependency asked to be left alone.
  local function alone()
    local asked = tonumber(ARGV[16])
    if asked > 0 then
      f.a = math.max(f.a, now + math.min(asked, WEEK))
    end
  end

  -- recovery is how long it stays open after so many reopenings in a row: at least as long as
  -- the dependency asked, and no longer than the longest.
  local function recovery(growth)
    local d = r.recovery
    for _ = 1, growth do
      if d >= r.longest then
        break
      end
      d = d * 2
    end
    return math.min(math.max(d, f.a - now), r.longest)
  end

  local function probe_wait()
    return math.min(r.lease, math.floor(r.recovery / 4), r.half)
  end

  -- heed reads an operator's order; one that cannot be read is none.
  local function heed(text, who, why)
    local serial, what, at, lasts = string.match(text or '', '^(%d+):(%d:[01]):(%d+):(%d+)$')
    serial, at, lasts = int(serial, BIG), int(at, BIG), int(lasts, BIG)
    if serial and at and lasts then
      order = {serial, what, at, lasts, who or '', why or ''}
    end
  end

  -- load reads what is there; what is wrong with it: 0, 1 or 2.
  local function load()
    local ask = {'p', 'q', 'r:' .. me, 'h:' .. me}
    for i = 1, #NUMBERS do
      ask[#ask + 1] = NUMBERS[i]
    end
    local last = #ask
    ask[last + 1], ask[last + 2], ask[last + 3] = 'o', 'ob', 'or'
    local h = redis.pcall('HMGET', KEYS[1], unpack(ask))
    if h.err then
      return string.find(h.err, 'WRONGTYPE', 1, true) and 1 or nil, h.err
    end
    heed(h[last + 1], h[last + 2], h[last + 3])
    old.o, old.ob, old['or'] = h[last + 1], h[last + 2], h[last + 3]
    if not h[1] and not h[5] then
      return 0
    end
    local wrong
    r, wrong = rules(h[1])
    if wrong ~= 0 then
      return wrong
    end
    local state = {}
    for i = 1, #NUMBERS do
      old[NUMBERS[i]] = h[4 + i]
      state[NUMBERS[i]] = int(h[4 + i], BIG)
      if not state[NUMBERS[i]] then
        return 1
      end
    end
    if state.s > 2 or state.y > 1 then
      return 1
    end
    for lease in string.gmatch(h[2] or '', '([^;]+);') do
      local id, at, lasts, replica = string.match(lease, '^(%d+):(%d+):(%d+):(.+)$')
      at, lasts = int(at, BIG), int(lasts, BIG)
      if not at or not lasts then
        return 1
      end
      leases[#leases + 1] = {id, at, lasts, replica}
    end
    old.p, old.q, vote, seen = h[1], h[2] or '', h[3], h[4]
    f = state
    return 0
  end

  -- enter settles what the caller knows against what is there; true if it cannot be believed.
  local function enter()
    if known > (f and f.e or 0) then
      if known > now + AHEAD then
        return true
      end
      r = mine
      begin(math.max(now, known + 1))
      log('1', 'l', '1')
      return false
    end
    f.t, f.w, f.x = math.min(f.t, now), math.min(f.w, now), math.min(f.x, now)
    for i = 1, #leases do
      leases[i][2] = math.min(leases[i][2], now)
    end
    if order then
      order[3] = math.min(order[3], now)
    end
    if r.p == mine.p then
      f.x = 0
    elseif better(mine, r) or (f.x > 0 and now - f.x >= CLAIM) then
      r, f.x = mine, 0
    elseif f.x == 0 then
      f.x = now
    end
    return false
  end

  -- parse reads a vote: seq, bad, weight, at, for; zeros if there is none.
  local function parse(text)
    local seq, bad, weight, at, lasts = string.match(text or '', '^(%d+):([01]):(%d+):(%d+):(%d+):')
    return int(seq, BIG) or 0, int(bad, 1) or 0, int(weight, 1000) or 0, int(at, BIG) or 0, int(lasts, BIG) or 0
  end

  -- ramp_rest is how long the ramp of a closed breaker still lasts.
  local function ramp_rest()
    if f.s ~= 0 or f.b == 0 then
      return 0
    end
    return math.max(f.l - (now - f.t), 0)
  end

  local counted = 0 -- calls of the votes that were swept and kept

  -- calls_of is how many calls a vote rests on.
  local function calls_of(text)
    return math.min(int(string.match(text, '^%d+:[01]:%d+:%d+:%d+:(%d+):'), BIG) or 0, CALLS)
  end

  local function tell(bad, weight, sign)
    f.wa = f.wa + sign * weight
    f.nb = f.nb + sign * bad
    f.wb = f.wb + sign * bad * weight
  end

  local function reached()
    return f.nb >= r.replicas and f.wb * 1000 >= math.max(r.replicas * 1000000, r.quorum * f.wa)
  end

  local swept, rebased = {}, {} -- votes that are too old; votes whose start moved

  -- sweep forgets the votes whose evidence is too old, and counts the others.
  local function sweep(own)
    f.w, f.nb, f.wb, f.wa, f.nr = now, 0, 0, 0, 0
    local all = again and {} or redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
      local replica = string.match(all[i], '^r:(.*)$')
      if replica and replica ~= me then
        local seq, bad, weight, at, lasts = parse(all[i + 1])
        if now - math.min(at, now) >= lasts then
          swept[#swept + 1] = all[i]
        else
          if at > now then
            rebased[#rebased + 1] = all[i]
            rebased[#rebased + 1] = string.gsub(all[i + 1], '^(%d+:%d:%d+):%d+', '%1:' .. string.format('%.0f', now))
          end
          tell(bad, weight, 1)
          f.nr = f.nr + 1
          counted = counted + calls_of(all[i + 1])
        end
      end
    end
    if own then
      local _, bad, weight, at, lasts = parse(own)
      if now - at >= lasts then
        return nil
      end
      tell(bad, weight, 1)
      f.nr = f.nr + 1
      counted = counted + calls_of(own)
    end
    return own
  end

  -- report replaces what this replica said before, and opens when enough of them are bad.
  local function report()
    if f.e ~= known or f.s ~= 0 then
      return
    end
    local seq, was, weight = parse(vote)
    if vote and seq >= tonumber(token) then
      return
    end
    tell(was, weight, -1)
    if ARGV[13] == '1' then
      f.nr = f.nr - (vote and 1 or 0)
      vote = nil
    elseif vote or f.nr < VOTES then
      f.nr = f.nr + (vote and 0 or 1)
      local weight, counts = math.max(math.min(tonumber(ARGV[11]), 1000), 0), math.max(math.min(tonumber(ARGV[12]), WEEK), 0)
      vote = token .. ':' .. ARGV[10] .. string.format(':%.0f:%.0f:%.0f:', weight, now, counts) .. said
      local bad = tonumber(ARGV[10])
      if bad == 1 then
        alone()
      end
      tell(bad, weight, 1)
      if bad ~= was then
        log('2', 'b', ARGV[10], 'w', string.format('%.0f', weight))
      end
    end
    if reached() or now - f.w >= r.window then
      vote = sweep(vote)
    end
    if reached() then
      local base = math.max(math.floor(math.min(counted, SUM) * 1000000 / r.window), 1)
      f.b = ramp_rest() > 0 and math.max(base, f.b) or base
      turn(2, recovery(0), 0)
    end
  end

  local marks = {} -- what became of other replicas in this call

  -- mark records what became of a replica's probe; a success stays one.
  local function mark(replica, as)
    local was
    if replica == me then
      was = seen
    else
      was = marks[replica] or redis.call('HGET', KEYS[1], 'h:' .. replica) or nil
    end
    if was == as or was == 's' then
      return
    end
    if not was then
      f.na = f.na + 1
    elseif was == 'x' then
      f.nx = f.nx - 1
    end
    if as == 's' then
      f.ns = f.ns + 1
    elseif as == 'x' then
      f.nx = f.nx + 1
    end
    if replica == me then
      seen = as
    else
      marks[replica] = as
    end
  end

  local function rest(lease)
    return math.max(lease[3] - (now - lease[2]), 0)
  end

  -- decide ends half-open; true if it did.
  local function decide()
    local since, enough = now - f.t, r.replicas
    if since >= probe_wait() then
      enough = math.max(1, math.min(enough, f.na))
    end
    if f.k >= r.successes and f.ns + f.nx >= enough and f.ns >= f.nx then
      turn(0, r.ramp, 0)
      return true
    end
    if (f.nx >= enough and f.nx > f.ns) or (since > f.l and f.ns + f.nx > 0 and #leases == 0) then
      turn(2, recovery(f.g + 1), f.g + 1)
      return true
    end
    return false
  end

  -- expire counts the probes whose lease is over as failed.
  local function expire()
    local kept = {}
    for i = 1, #leases do
      if now - leases[i][2] < leases[i][3] then
        kept[#kept + 1] = leases[i]
      else
        mark(leases[i][4], 'x')
      end
    end
    leases = kept
  end

  -- settle takes a lease back; true if there was one.
  local function settle()
    if known ~= f.e then
      return false
    end
    for i = 1, #leases do
      if leases[i][1] == token then
        local replica = table.remove(leases, i)[4]
        if ARGV[8] == '0' then
          f.k = f.k + 1
          mark(replica, 's')
        elseif ARGV[8] == '1' then
          mark(replica, 'x')
          alone()
        end
        return true
      end
    end
    return false
  end

  -- served is whether another probe of this replica would decide nothing: one failed, or enough
  -- succeeded, its own among them.
  local function served()
    return seen == 'x' or (seen == 's' and f.k >= r.successes)
  end

  -- grant gives a lease, if one is free for this replica: how long it lasts, else nil.
  local function grant()
    for i = 1, #leases do
      if leases[i][1] == token then
        return rest(leases[i])
      end
    end
    if served() or #leases >= r.probes then
      return nil
    end
    leases[#leases + 1] = {token, now, r.lease, me}
    return r.lease
  end

  local granted, wait = nil, 0

  -- probe grants or settles a lease, and decides whether half-open is over.
  local function probe()
    if op == 'ask' and f.s == 2 and now - f.t >= f.l then
      turn(1, r.half, f.g)
    end
    if f.s ~= 1 then
      return
    end
    if op == 'ask' and not seen then
      mark(me, 'a') -- first: a lease that ends just now must not decide without this replica
    end
    expire()
    if decide() then
      return
    end
    if op == 'settle' then
      -- A lease that another replica may wait for is free again: that is told too.
      if settle() and not decide() and f.na > 1 then
        moved = true
      end
      return
    end
    granted = grant()
    if not granted and served() then
      -- until fewer replicas may decide; when they may already, when to look again
      wait = probe_wait() - (now - f.t)
      wait = wait > 0 and wait or probe_wait()
    end
  end

  -- lasts is how long an open breaker stays so, or until a lease may be free.
  local function lasts()
    if f.s == 2 then
      return math.max(f.l - (now - f.t), 0)
    end
    if f.s == 0 then
      return ramp_rest()
    end
    if #leases < r.probes then
      return 0
    end
    local first = rest(leases[1])
    for i = 2, #leases do
      first = math.min(first, rest(leases[i]))
    end
    return first
  end

  local function serial()
    return order and order[1] or 0
  end

  -- ordered appends an operator's order to a list of fields and values, as it is kept.
  local function ordered(add)
    if order then
      add('o', string.format('%.0f:', order[1]) .. order[2] .. string.format(':%.0f:%.0f', order[3], order[4]), old.o)
      add('ob', order[5], old.ob)
      add('or', order[6], old['or'])
    end
  end

  -- beyond is for how long, in µs, the key is needed: for a state that lasts so long, and for an order.
  local function beyond(lasts)
    return order and math.max(lasts, order[4] - math.max(now - order[3], 0)) or lasts
  end

  -- wipe removes what cannot be read, but for an operator's order.
  local function wipe()
    redis.call('DEL', KEYS[1])
    if order then
      ordered(function(field, value)
        redis.call('HSET', KEYS[1], field, value)
      end)
      live(beyond(0))
    end
  end

  -- base is of how many calls a second a ramp is, while it lasts.
  local function base()
    return ramp_rest() > 0 and f.b or 0
  end

  local wrong, why = load()
  if not wrong then
    return redis.error_reply(why)
  end
  local heal = wrong == 1 and ARGV[3] == '1'
  if wrong ~= 0 and not heal then
    return {1, now, wrong}
  end
  if heal then
    r, f, leases, again = mine, nil, {}, true
  end
  if not f and known == 0 then
    if op ~= 'report' or ARGV[13] == '1' then
      if heal then
        wipe()
      end
      return {1, now, 0, 0, 0, 0, 0, 0, 0, 0, serial(), 0}
    end
    begin(now)
    known, moved = now, false
  end
  local before_vote, before_seen = vote, seen
  if enter() then
    if heal then
      wipe()
    end
    return {1, now, 4}
  end
  if op == 'report' then
    report()
  else
    probe()
  end

  -- Everything is decided: write what changed.
  if again then
    redis.call('DEL', KEYS[1])
    old, before_vote, before_seen = {}, nil, nil -- an operator's order is put back, too
  else
    for i = 1, #swept do
      redis.call('HDEL', KEYS[1], swept[i])
    end
  end
  local put = {}
  local function keep(field, value, was)
    if value and value ~= was then
      put[#put + 1] = field
      put[#put + 1] = value
    end
  end
  keep('p', r.p, old.p)
  ordered(keep)
  for i = 1, #NUMBERS do
    keep(NUMBERS[i], string.format('%.0f', f[NUMBERS[i]]), old[NUMBERS[i]])
  end
  local q = ''
  for i = 1, #leases do
    local l = leases[i]
    q = q .. l[1] .. ':' .. string.format('%.0f:%.0f', l[2], l[3]) .. ':' .. l[4] .. ';'
  end
  keep('q', q, old.q or '')
  keep('r:' .. me, vote, before_vote)
  keep('h:' .. me, seen, before_seen)
  if before_vote and not vote then
    redis.call('HDEL', KEYS[1], 'r:' .. me)
  end
  if not again then
    for replica, as in pairs(marks) do
      keep('h:' .. replica, as, nil)
    end
    for i = 1, #rebased do
      put[#put + 1] = rebased[i]
    end
  end
  if moved then
    push = string.format('1 %.0f %.0f %.0f %.0f %.0f %.0f', f.e, f.s, lasts(), f.y, serial(), base())
  end
  return {
    1, now, 0, f.e, f.s, math.max(lasts(), wait), f.y, r.p == mine.p and 0 or 1, granted and 1 or 0, granted or 0, serial(),
    base(),
  }, put, beyond(f.l)
end

local reply, put, lasts = quick()
if not reply then
  reply, put, lasts = slow()
end
if not put then
  return reply -- there was nothing to decide
end
if #put > 0 then
  redis.call('HSET', KEYS[1], unpack(put))
end
live(lasts)
-- Last, and not by call: without these rights, the writes above stand.
for i = 1, #records do
  redis.pcall('XADD', KEYS[2], 'MAXLEN', RECORDS, '*', unpack(records[i]))
end
if #records > 0 then
  redis.pcall('PEXPIRE', KEYS[2], string.format('%.0f', DAYS))
end
if push then
  redis.pcall('PUBLISH', KEYS[1], push)
end
return reply
