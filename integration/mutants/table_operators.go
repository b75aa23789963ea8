package main

// The files of operators' orders, and of what a fleet knows beside its votes.
const (
	orderScript = "scripts/lua/breaker_order.lua"
	orderRules  = "domain/breaker/order.go"
	fleetRules  = "domain/breaker/fleet.go"
	overrides   = "fleet/override.go"
	rampUse     = "fleet/ramp.go"
)

// orderScriptBugs are about orders and records, as the scripts keep them.
func orderScriptBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{"script: an order too late is given all the same", orderScript, `not_after > 0 and now > not_after`, `false`, by},
		{"script: a serial does not grow", orderScript, `math.max(now, stands + 1)`, `now`, by},
		{"script: an older order wins", orderScript, `elseif serial <= stands then`, `elseif false then`, by},
		{"script: an order of a later day is taken", orderScript, `elseif serial > now + AHEAD then`, `elseif false then`, by},
		{"script: a reset keeps the votes", orderScript, `  redis.call('DEL', KEYS[1])
  for _`, `  for _`, by},
		{
			"script: a reset keeps the growth", orderScript, `  redis.call('DEL', KEYS[1])
  for _, field in ipairs(COUNTERS) do
    set(field, '0')`,
			`  local g = redis.call('HGET', KEYS[1], 'g')
  redis.call('DEL', KEYS[1])
  for _, field in ipairs(COUNTERS) do
    set(field, field == 'g' and g or '0')`, by,
		},
		{"script: a reset forgets that other rules were brought", orderScript, `set('x', h[3] or '0')`, `set('x', '0')`, by},
		{"script: an order is not pushed", orderScript, `redis.pcall('PUBLISH'`, unless + `redis.pcall('PUBLISH'`, by},
		{"script: the key may go before the order that it was made for", orderScript, `math.max(life, lasts)`, `life`, by},
		{"script: an order shortens the life of an open breaker", orderScript, `math.max(life, lasts)`, `lasts`, by},
		{"script: an order overwrites a newer schema", orderScript, `if schema and schema > 1 then`, `if false then`, by},
		{
			"script: a turn loses the order", breakScript,
			`old, before_vote, before_seen = {}, nil, nil`,
			`old, before_vote, before_seen = {o = old.o, ob = old.ob, ['or'] = old['or']}, nil, nil`, by,
		},
		{"script: a loss loses the order", breakScript, `    begin(math.max(now, known + 1))`, `    order = nil
    begin(math.max(now, known + 1))`, by},
		{
			"script: healing loses the order", breakScript,
			`r, f, leases, again = mine, nil, {}, true`, `r, f, leases, again, order = mine, nil, {}, true, nil`, by,
		},
		{"script: a clock that steps back makes an order last", breakScript, `    order[3] = math.min(order[3], now)
`, ``, by},
		{
			"script: the key goes before an order has ended", breakScript,
			`return order and math.max(lasts, order[4] - math.max(now - order[3], 0)) or lasts`, `return lasts`, by,
		},
		{"script: each report is recorded as a vote", breakScript, `if bad ~= was then`, `if true then`, by},
		{"script: records are not bounded", breakScript, `'MAXLEN', RECORDS, `, ``, by},
		{
			"script: a trip is recorded before the vote that tripped", breakScript,
			`for i = 1, #records do`, `for i = #records, 1, -1 do`, by,
		},
	}
}

// orderRuleBugs are the same in the twin.
func orderRuleBugs() []mutant {
	by := []string{"./domain/breaker", "./store/memory"}
	return []mutant{
		{"a serial does not grow", orderRules, `max(uint64(nowMicro), f.order.Serial+1)`, `uint64(nowMicro)`, by},
		{"an older order wins", orderRules, `case o.Serial <= f.order.Serial:`, `case false:`, by},
		{"an order of a later day is taken", orderRules, `case o.Serial > uint64(nowMicro)+aheadMicro:`, `case false:`, by},
		{"an order lasts for any time", orderRules, `o.ForMicro = min(max(o.ForMicro, 0), longestOrder)`, `_ = longestOrder`, by},
		{"growth is kept after closing", fleetRules, `		f.growth = 0
`, `		_ = f.growth
`, by},
		{"a turn loses the order", fleetRules, `		order: f.order, records: f.records,
`, `		records: f.records,
`, by},
		{"a loss loses the order", fleetRules, `order: f.order, records: f.records}`, `records: f.records}`, by},
		{"a clock that steps back makes an order last", fleetRules, `	f.order.atMicro = min(f.order.atMicro, nowMicro)
`, ``, by},
		{"records are not bounded", "domain/breaker/record.go", `if len(f.records) >= RecordsKept {`, `if false {`, by},
		{"records come oldest first", "domain/breaker/record.go", `all[len(all)-1-i] = r`, `all[i] = r`, by},
		{"a clone shares its records", fleetRules, `	c.records = slices.Clone(f.records)
`, ``, by},
		{
			"an order is not pushed", "store/memory/operator.go",
			`port.View{Order: breaker.Order{Serial: serial}}, isNew)`,
			`port.View{Order: breaker.Order{Serial: serial}}, false && isNew)`, by,
		},
		{
			"what was too late is not sent again", "store/redis/twice.go",
			`len(late) > 0 && ctx.Err() == nil`, `false && len(late) > 0`,
			[]string{"./store/redis"},
		},
	}
}

// overrideBugs are about what one replica makes of orders.
func overrideBugs() []mutant {
	const pulse = "fleet/pulse.go"
	by := []string{"./fleet"}
	return []mutant{
		{"what the store lost is not brought again", overrides, `		held.bring = true
`, `		held.bring = false
`, by},
		{
			"that an override was ended is not brought", overrides,
			`case serial < held.serial && !held.bring`,
			`case serial < held.serial && held.force != domain.ForceNone && !held.bring`, by,
		},
		{"a stale read clears what was heard", overrides, `held.heard > held.asked {`, `false && held.heard > held.asked {`, by},
		{"what was heard and is lost is read for ever", overrides, `		held.heard = found
`, `		_ = found
`, by},
		{"an end that is known moves on", overrides, `held.until = min(held.until, until)`, `held.until = until`, by},
		{"an order that is over is told of as one that begins", overrides, `if o.ForMicro == 0 {`, `if false {`, by},
		{"a reset is the store's alone", overrides, `			b.local.Reset()
`, ``, by},
		{"what a read finds lost is not brought again", overrides, `	default:
		b.hear(o.Serial)
`, `	default:
`, by},
		{"an override does not end", overrides, `held.force != domain.ForceNone && now >= held.until {`, `false {`, by},
		{"an end is noticed by calls alone", pulse, `b.forced(now) // an end is noticed without calls, too`, `_ = now`, by},
		{"forced open lets probes through", overrides, `	case domain.ForceOpen:
		held := b.fleet.order
`, `	case domain.ForceOpen:
		if b.fleet.state != domain.StateClosed {
			break
		}
		held := b.fleet.order
`, by},
		{
			"forced closed does not count", overrides,
			`p = newPermit(b, breaker.ClosedTicket(b.local.Epoch())) // to be counted`, `_ = newPermit`, by,
		},
		{"forced closed trips", overrides, `		b.local.Note(now, t, o, took)`, `		b.local.Settle(now, t, o, took)`, by},
		{
			"forced closed votes", overrides,
			`return force != domain.ForceNone && force != domain.ForceMetricsOnly`, `return false && force != 0`, by,
		},
		{"disabled counts what began before", overrides, `	case domain.ForceDisabled:
	case domain.ForceOpen, domain.ForceClosed:`, `	case domain.ForceDisabled, domain.ForceOpen, domain.ForceClosed:`, by},
		{
			"metrics only refuses", overrides,
			`if b.forced(now) == domain.ForceMetricsOnly {`, `if b.forced(now) == domain.ForceClosed {`, by,
		},
		{
			"what is brought lasts as long as at first", overrides,
			`max(held.until-now, 0).Microseconds()`, `held.until.Microseconds()`, by,
		},
		{"an order that could not be brought is not brought again", overrides, `	case reply.Err != nil:
`, `	case reply.Err != nil:
		b.fleet.order.bring = false
`, by},
		{"an order that cannot be is brought for ever", overrides, `b.fleet.order = heldOrder{}`, `_ = heldOrder{}`, by},
		{
			"an order waits for the next refresh", pulse,
			`if !report && !refresh && !b.fleet.order.behind() {`, `if !report && !refresh {`, by,
		},
		{"the idle do not hear of an order", pulse, `if !report && !b.fleet.order.behind() && now`, `if !report && now`, by},
		{"a word about an order alone is taken for a loss", "fleet/view.go", `		return // it was about an order alone
`, `		_ = v
`, by},
	}
}

// askedBugs are about what a dependency asks for.
func askedBugs() []mutant {
	const permit = "fleet/permit.go"
	script, rules := []string{"./store/redis"}, []string{"./domain/breaker", "./store/memory"}
	by := []string{"./fleet"}
	return []mutant{
		{
			"script: what the dependency asks for is ignored", breakScript,
			`math.min(math.max(d, f.a - now), r.longest)`, `math.min(d, r.longest)`, script,
		},
		{
			"script: the dependency may ask for any time", breakScript,
			`math.min(math.max(d, f.a - now), r.longest)`, `math.max(d, f.a - now)`, script,
		},
		{"script: what it asked for is kept after closing", breakScript, `    begin(epoch)
    f.y`, `    local a = f.a
    begin(epoch)
    f.a = a
    f.y`, script},

		{
			"what the dependency asks for is ignored", fleetRules,
			`min(max(f.rules.recovery(growth), f.aloneUntil-nowMicro), f.rules.MaxRecoveryMicro)`,
			`f.rules.recovery(growth) + 0*nowMicro`, rules,
		},
		{
			"the dependency may ask for any time", fleetRules,
			`min(max(f.rules.recovery(growth), f.aloneUntil-nowMicro), f.rules.MaxRecoveryMicro)`,
			`max(f.rules.recovery(growth), f.aloneUntil-nowMicro)`, rules,
		},
		{
			"what it asked for is kept after closing", fleetRules,
			`growth: f.growth, base: f.base,`, `growth: f.growth, base: f.base, aloneUntil: f.aloneUntil,`, rules,
		},

		{"shared layers are staggered, those alone are not", "fleet/breaker.go", `	if b.pulse == nil {
		b.local`, `	if b.pulse != nil {
		b.local`, by},
		{"layers are staggered by the same each time", "fleet/breaker.go", `			b.stagger()
`, ``, by},
		{"a wait of what did not fail counts", permit, `		wait = 0
`, `		_ = wait
`, by},
		{
			"a layer may be asked for any time", "domain/breaker/local.go",
			`l.alone = max(l.alone, now+min(wait, l.longest))`, `l.alone = max(l.alone, now+wait)`,
			[]string{"./domain/breaker"},
		},
		{
			"a trip is as long as was asked, whatever the longest is", "domain/breaker/local.go",
			`min(l.alone-now, l.longest))`, `l.alone-now)`,
			[]string{"./domain/breaker"},
		},
		{
			"a layer keeps what it was asked for after closing", "domain/breaker/local.go",
			`l.growth, l.alone = 0, 0`, `l.growth = 0`,
			[]string{"./domain/breaker"},
		},
		{"a call's wait is not told to the layer", permit, `		b.local.LeaveAlone(now, wait)
`, ``, by},
		{"a probe's wait is not told to the fleet", "fleet/probe.go", `ask.AloneMicro = wait.Microseconds()`, `_ = wait`, by},
	}
}

// rampBugs are about admission after closing.
func rampBugs() []mutant {
	script, rules := []string{"./store/redis"}, []string{"./domain/breaker", "./store/memory"}
	by := []string{"./fleet"}
	return []mutant{
		{
			"script: a ramp is of the calls of the sick", breakScript,
			`counted = counted + calls_of(all[i + 1])`, `counted = counted + bad * calls_of(all[i + 1])`, script,
		},
		{
			"script: a second trip in a ramp is of its few calls", breakScript,
			`f.b = ramp_rest() > 0 and math.max(base, f.b) or base`, `f.b = base`, script,
		},
		{"script: a ramp does not end", breakScript, `    if f.s ~= 0 or f.b == 0 then
      return 0
    end
    return math.max(f.l - (now - f.t), 0)`, `    if f.s ~= 0 or f.b == 0 then
      return 0
    end
  return f.l`, script},
		{"script: a push tells of no ramp", breakScript, `f.y, serial(), base())`, `f.y, serial(), 0)`, script},

		{"a ramp is of the calls of the sick", fleetRules, `		sum += min(v.calls, callsCounted)
`, `		if v.bad {
			sum += min(v.calls, callsCounted)
		}
`, rules},
		{"a second trip in a ramp is of its few calls", fleetRules, `	if f.rampRest(nowMicro) > 0 {
		base`, `	if false {
		base`, rules},
		{"a ramp does not end", fleetRules, `	return max(f.forMicro-max(nowMicro-f.atMicro, 0), 0)
}

// leaveAlone`, `	return f.forMicro
}

// leaveAlone`, rules},

		{"the known end of a ramp moves on", rampUse, `r.until = min(r.until, until)`, `r.until = until`, by},
		{"a late view begins a ramp again", rampUse, `case r.base == 0 && r.epoch != v.Epoch:`, `case r.base == 0:`, by},
		{"who hears late of a ramp begins at its foot", rampUse, `max(whole, v.For)`, `v.For`, by},
		{
			"a ramp admits less than it takes to probe", rampUse,
			`max(up.base*rampSteps[r.step]/100, int64(b.policy.Probes))`, `max(up.base*rampSteps[r.step]/100, 1)`, by,
		},
		{
			"each replica has a ramp of its own", rampUse,
			`l.AllowWithin(ctx, b.rampKey(), 1, budget)`, `l.AllowWithin(ctx, b.replica.incarnation, 1, budget)`, by,
		},
		{
			"a ramp holds up what an operator lets pass", rampUse,
			`climbing = force == domain.ForceNone || force == domain.ForceMetricsOnly`,
			`climbing = force != domain.ForceOpen`, by,
		},
		{"a ramp outlives its epoch", "fleet/view.go", `		b.fleet.ramp = ramp{}
`, ``, by},
	}
}
