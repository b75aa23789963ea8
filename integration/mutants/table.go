package main

import "slices"

// The files that most bugs are put into.
const (
	takeScript   = "scripts/lua/bucket_take.lua"
	breakScript  = "scripts/lua/breaker_step.lua"
	memberScript = "scripts/lua/member_beat.lua"
)

// unless keeps what stands behind it from being done. The text stays: tests
// lengthen what they find there, and would stumble if it were gone.
const unless = `local _ = KEYS[1] == nil and `

// table has the bugs. What they have in common is that code of this kind was
// once written so, here or elsewhere, and that most calls go well all the same.
//
// A new one goes beside its kin; old is as short as it can be and still occur
// once in the file.
func table() []mutant {
	return slices.Concat(
		takeBugs(), bandScriptBugs(), leaseScriptBugs(), queueScriptBugs(), shortWayBugs(), bucketBugs(), bandBugs(), leaseBugs(),
		queueBugs(), permitBugs(), roomBugs(), budgetBugs(), shareBugs(),
		stepBugs(), quickBugs(), halfOpenScriptBugs(), fleetLayerBugs(), localLayerBugs(), memberBugs(),
		orderScriptBugs(), orderRuleBugs(), overrideBugs(), askedBugs(), rampBugs(), rampKeyBugs(), disagreeBugs(),
		flightBugs(), healthBugs(), limiterBugs(), outageBugs(), sharedBreakerBugs(), breakerKeyBugs(),
		exclusiveBugs(), lockStoreBugs(), checkBugs(),
		storeBugs(), keyBugs(), memoryBugs(), clockBugs(),
		retryBugs(), walkBugs(), leakBugs(),
	)
}

func takeBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{
			"script: a denial moves the refill clock", takeScript,
			`token, retry = max(token, `, `c = credits(h[1]) or c; token, retry = max(token, `, by,
		},
		{
			"script: a denial hands out no turn", takeScript,
			`d, changed = min(d + token, TURN), true`, `changed = true`, by,
		},
		{
			"script: a bucket has no TTL", takeScript,
			`redis.call('PEXPIRE', KEYS[k], format('%.0f', lasting(`, unless + `redis.call('PEXPIRE', KEYS[k], format('%.0f', lasting(`, by,
		},
		{"script: a take too late is done all the same", takeScript, `not_after > 0 and now > not_after`, `false`, by},
		{
			"script: a full bucket forgets that two limits are brought", takeScript,
			`and d == 0 and (x == 0 or x >= CLAIM)`, `and d == 0`, by,
		},
		{
			"script: a claim that nobody brings never falls", takeScript,
			`better(mine, stored) or x >= CLAIM`, `better(mine, stored)`, by,
		},
		{
			"script: a changed limit starts full", takeScript,
			`c, d, changed = carry(how, mine, stored, c), 0, true`, `c, d, changed = copy(mine.f), 0, true`, by,
		},
		{
			"script: refill goes above the burst", takeScript,
			`c[i] = min(c[i] + e[i] * min(elapsed - q, floor((f[i] - c[i] + e[i] - 1) / e[i])), f[i])`,
			`c[i] = c[i] + e[i] * (elapsed - q)`, by,
		},
		{
			"script: a clock that steps back refills", takeScript,
			`local elapsed, full = now - u, true`, `local elapsed, full = math.abs(now - u), true`, by,
		},
		{"script: a bucket waits for the clock to come back", takeScript, `u, changed = now, true`, `changed = true`, by},
		{
			"script: a bill is charged twice", takeScript,
			`wrong == 0 and not string.find(',' .. b .. ',', ',' .. bill .. ',', 1, true)`, `wrong == 0`, by,
		},
		{
			"script: the time to wait is rounded down", takeScript,
			`at - from + max(floor((want - c + e - 1) / e), 0)`, `at - from + max(floor((want - c) / e), 0)`, by,
		},
		{"script: what cannot be read is never healed", takeScript, `wrong == 1 and heal`, `false`, by},
		{
			"script: a newer schema is overwritten", takeScript,
			`return nil, #schema <= 16 and tonumber(schema) > 1 and 2 or 1`, `return nil, 1`, by,
		},
	}
}

func bandScriptBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{
			"script: only the first band is asked", takeScript,
			`granted = c[i] > 0 and`, `granted = i > 1 and granted or c[i] > 0 and`, by,
		},
		{
			"script: only the first band is charged", takeScript,
			`c[i] = c[i] - granted * cost * w[i]`, `c[i] = c[i] - (i > 1 and 0 or granted) * cost * w[i]`, by,
		},
		{
			"script: further bands pay no bill", takeScript,
			`c[i] = max(c[i] - max(min(cost, f[i] / w[i]), 0) * w[i], min(c[i], -f[i]))`,
			`c[i] = i > 1 and c[i] or max(c[i] - max(min(cost, f[i] / w[i]), 0) * w[i], min(c[i], -f[i]))`, by,
		},
		{"script: the shortest wait is told", takeScript, `if one > wait then`, `if wait == 0 or one < wait then`, by},
		{
			"script: the band that refused is not told", takeScript,
			`granted, left or 0, retry, band - 1`, `granted, left or 0, retry, 0`, by,
		},
		{
			"script: turns are as long as the fastest band takes", takeScript,
			`floor((tokens * w[band] + e[band] - 1) / e[band])`, `floor((tokens * w[1] + e[1] - 1) / e[1])`, by,
		},
		{"script: bands go on in their order alone", takeScript, `if b.e[i] == a.e[j] and b.w[i] == a.w[j] then`, `if false then`, by},
		{
			"script: a bucket expires when its first band is full", takeScript,
			`full_in = max(full_in, q + due(`, `full_in = i > 1 and full_in or max(full_in, q + due(`, by,
		},
		{"script: bands in any order are taken for a limit", takeScript, ` or (i > 1 and f / w <= r.f[i - 1] / r.w[i - 1])`, ``, by},
		{"script: a reset keeps what was there", takeScript, `elseif how ~= 'r' then`, `else`, by},
		{"script: tokens are carried over in proportion, although kept", takeScript, `how == 't' and`, `how == 'x' and`, by},
		{"script: more bands than there can be are taken for a limit", takeScript, `r.n > BANDS or `, ``, by},
	}
}

func shortWayBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{
			"script: the short way does not prolong the TTL", takeScript,
			`redis.call('PEXPIRE', KEYS[k], format('%.0f', ms + 1001))`,
			unless + `redis.call('PEXPIRE', KEYS[k], format('%.0f', ms + 1001))`, by,
		},
		{
			"script: the short way refills above the burst", takeScript,
			`c = (now - u) * e < f - c and c + (now - u) * e or f`, `c = c + (now - u) * e`, by,
		},
		{
			"script: the short way follows a clock that steps back", takeScript,
			` or u > now or u % 1 ~= 0 then`, ` or u % 1 ~= 0 then`, by,
		},
		{
			"script: the short way forgets the turns that are out", takeScript,
			`if #h == 6 and h[1]`,
			`if #h >= 6 and #h <= 8 and h[1]`, by,
		},
		{"script: the short way writes no claim", takeScript, `= k, c, ms or false, claim or false`, `= k, c, ms or false, false`, by},
		{
			"script: the end of a key is not moved", takeScript,
			`if floor((now + full_in) / SECOND) == known_to then`,
			`if known_to >= 0 then`, by,
		},
		{
			"script: the end of a key is always moved", takeScript,
			`if floor((now + full_in) / SECOND) == known_to then`,
			`if false then`, by,
		},
		{
			"script: a key goes before its bucket is full", takeScript,
			`(floor((now + full_in) / SECOND) + 1) * SECOND`,
			`floor((now + full_in) / SECOND - 1) * SECOND`, by,
		},
		{"script: a run is one key", takeScript, `at, run = begin, run - 1`, `at, run = begin, 0`, by},
		{"script: a new bucket is full", takeScript, `if fresh and first then`, `if false then`, by},
		{"script: everybody who comes back is new", takeScript, `fresh = not h[11] or elapsed >= FIRST`, `fresh = true`, by},
		{"script: nobody who comes back is new", takeScript, `fresh = not h[11] or elapsed >= FIRST`, `fresh = false`, by},
		{"script: the key of a bucket that is known goes early", takeScript, `heard - u, first and FIRST or 0)`, `heard - u)`, by},
		{"script: the short way is taken under another limit", takeScript, ` and h[6] == p then`, ` then`, by},
	}
}

func bucketBugs() []mutant {
	const file = "domain/bucket/state.go"
	by := []string{"./domain/bucket", "./store/memory"}
	return []mutant{
		{"a new bucket is full", file, `	if first == 0 {
		return false
	}`, `	if first <= 0 {
		return false
	}`, by},
		{"everybody who comes back is new", file, `(st.Kept == 0 || idle >= st.Kept)`, `true`, by},
		{"a bucket that is known is forgotten", file, `st.blockedMicro(), st.Kept)`, `st.blockedMicro())`, by},
		{"a denial moves the refill clock", file, `next.Turn = min(`, `next.Credits, next.Turn = st.Credits, min(`, by},
		{"a denial hands out no turn", file, `min(turn+token, turnMicro)`, `turn`, by},
		{
			"turns are handed out for more than a second", file,
			`min(turn+token, turnMicro)`, `turn + token`, by,
		},
		{"a full bucket forgets that two limits are brought", file, ` &&
		st.contestedMicro() == 0`, ``, by},
		{"a claim that nobody brings never falls", file, `case st.Challenged >= claimMicro:`, `case false:`, by},
		{"a clock that steps back refills", file, `if elapsed <= 0 {`, `if elapsed = max(elapsed, -elapsed); elapsed == 0 {`, by},
		{"a bucket waits for the clock to come back", file, `if st.AtMicro-nowMicro > skewMicro {`, `if false {`, by},
		{"a bill is charged twice", file, `if paid == bill {`, `if paid == bill && false {`, by},
		{"a peek writes", file, `if changed && !peeked {`, `if changed {`, by},
		{"the shortest wait is told", file, `due > micro {`, `due > 0 && (micro == 0 || due < micro) {`, by},
		{
			"only the first band is charged", file,
			`st.Credits[i] -= granted * cost`, `st.Credits[i] -= int64(1-min(i, 1)) * granted * cost`, by,
		},
		{
			"a bucket expires when its first band is full", file,
			`micro = max(micro, st.due(i, st.Rule.Bands[i].Full))`,
			`micro = max(micro, st.due(i, st.Rule.Bands[i].Full)*int64(1-min(i, 1)))`, by,
		},
	}
}

func bandBugs() []mutant {
	by := []string{"./domain/bucket", "./store/memory"}
	return []mutant{
		{
			"refill goes above the burst", "domain/bucket/band.go",
			`min(credits+b.Earn*min(elapsedMicro, b.micro(room-credits)), room)`, `credits + b.Earn*elapsedMicro`, by,
		},
		{"bands go on in their order alone", "domain/bucket/rule.go", `if from.Bands[i].sameRate(r.Bands[j]) {`, `if false {`, by},
		{"a reset keeps what was there", "domain/bucket/band.go", `how == domain.CarryReset`, `false`, by},
		{
			"tokens are carried over in proportion, although kept", "domain/bucket/band.go",
			`how == domain.CarryTokens`, `false && how == 0`, by,
		},
		{
			"bands in any order are a limit", "domain/bands.go",
			`band.rate() >= before.rate() || band.Burst <= before.Burst`, `before == band && false`,
			[]string{"./domain"},
		},
	}
}

func shareBugs() []mutant {
	const file = "domain/bucket/share.go"
	by := []string{"./domain/bucket", "./fleet"}
	return []mutant{
		{
			"the first share of an outage starts full", file,
			`var tokens [domain.MaxBands]int64`, `tokens := [domain.MaxBands]int64{r.Burst()}`, by,
		},
		{"the share is not divided by the replicas", file, `int64(max(replicas, 1))`, `int64(1)`, by},
		{
			"a share mints when the replicas change", file,
			`tokens[i]--`, ``, by,
		},
		{"a share asks only its first band", file, `if short > 0 && part.micro(short) > retryMicro {`, `if i == 0 && short > 0 {`, by},
	}
}

func stepBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{"script: a breaker has no TTL", breakScript, `redis.call('PEXPIRE', KEYS[1]`, unless + `redis.call('PEXPIRE', KEYS[1]`, by},
		{"script: a step too late is done all the same", breakScript, `not_after > 0 and now > not_after`, `false`, by},
		{"script: a report of an earlier epoch counts", breakScript, `if f.e ~= known or f.s ~= 0 then`, `if f.s ~= 0 then`, by},
		{"script: an older report replaces a newer one", breakScript, `if vote and seq >= tonumber(token) then`, `if false then`, by},
		{"script: a replica's votes add up", breakScript, `  tell(was, weight, -1)
`, ``, by},
		{"script: the sweep counts the caller's vote twice", breakScript, `if replica and replica ~= me then`, `if replica then`, by},
		{
			"script: votes count when their evidence is old", breakScript,
			`if now - math.min(at, now) >= lasts then`, `if false then`, by,
		},
		{"script: a lost state begins with a known epoch", breakScript, `begin(math.max(now, known + 1))`, `begin(now)`, by},
		{"script: any known epoch is believed", breakScript, `if known > now + AHEAD then`, `if false then`, by},
		{"script: a transition is not pushed", breakScript, `if moved then`, `if false then`, by},
		{
			"script: an unreadable breaker is never healed", breakScript,
			`local heal = wrong == 1 and ARGV[3] == '1'`, `local heal = false`, by,
		},
	}
}

func halfOpenScriptBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{"script: one busy replica takes all probes", breakScript, `(seen == 's' and f.k >= r.successes)`, `false`, by},
		{"script: half-open admits more than Probes", breakScript, `if served() or #leases >= r.probes then`, `if served() then`, by},
		{"script: a probe lease never expires", breakScript, `if now - leases[i][2] < leases[i][3] then`, `if true then`, by},
		{"script: a settled probe lease is forgotten", breakScript, `table.remove(leases, i)[4]`, `leases[i][4]`, by},
		{"script: the same question is given a second lease", breakScript, `return rest(leases[i])`, `break`, by},
		{"script: a cancelled probe counts as failed", breakScript, `elseif ARGV[8] == '1' then`, `else`, by},
		{
			"script: the next opening is no longer than the last", breakScript,
			`turn(2, recovery(f.g + 1), f.g + 1)`, `turn(2, recovery(0), 0)`, by,
		},
		{
			"script: half-open waits forever for replicas without calls", breakScript,
			`if since >= probe_wait() then`, `if false then`, by,
		},
	}
}

func fleetLayerBugs() []mutant {
	const votes, probes = "domain/breaker/fleet.go", "domain/breaker/probe.go"
	by := []string{"./domain/breaker", "./store/memory"}
	return []mutant{
		{"a report of an earlier epoch counts", votes, `e.Known != f.epoch || f.state`, `f.state`, by},
		{"an older report replaces a newer one", votes, `if had && old.seq >= e.Seq {`, `if false {`, by},
		{"a replica's votes add up", votes, `f.tell(old, -1)`, ``, by},
		{"votes count when their evidence is old", votes, `if nowMicro-v.atMicro >= v.forMicro {`, `if false {`, by},
		{"a lost state begins with a known epoch", votes, `max(uint64(nowMicro), known+1)`, `uint64(nowMicro)`, by},
		{"half-open admits more than Probes", probes, ` || int64(len(f.leases)) >= f.rules.Probes`, ``, by},
		{"a probe lease never expires", probes, `if nowMicro-l.atMicro < l.forMicro {`, `if true {`, by},
		{"a settled probe lease is forgotten", probes, `f.leases = append(f.leases[:i], f.leases[i+1:]...)`, `_ = i`, by},
		{"the next opening is no longer than the last", probes, `f.recovery(nowMicro, f.growth)`, `f.recovery(nowMicro, 0)`, by},
		{"who asks as a lease ends is not counted", probes, `f.mark(a.Replica, askedOnly) //`, `_ = askedOnly //`, by},
		{"half-open waits forever for replicas without calls", probes, `if since >= f.rules.probeWait() {`, `if false {`, by},
	}
}

func localLayerBugs() []mutant {
	const file = "domain/breaker/local.go"
	by := []string{"./domain/breaker"}
	return []mutant{
		{"a result of an earlier epoch counts", file, `if t.epoch != l.epoch {`, `if false {`, by},
		{"a replica alone lets more probes through than Probes", file, `if len(l.out) >= l.probes {`, `if len(l.out) > l.probes {`, by},
		{"a hung probe keeps a replica's slot", file, `for n < len(l.out) && l.out[n].until <= now {`, `for false {`, by},
		{"a replica's own trouble is told to the fleet", file, `case rest <= 0 || (tripped && !l.byDep):`, `case rest <= 0:`, by},
		{"an opinion counts for as long as the layer is open", file, `l.lastDep + l.window - now`, `l.lastDep + l.recovery - now`, by},
		{"what is ignored can trip", file, `if o == domain.Ignored {`, `if false {`, by},
		{"as long as is allowed is slow", file, `l.slowAfter > 0 && took > l.slowAfter`, `l.slowAfter > 0 && took >= l.slowAfter`, by},
		{"no call is slow", file, `l.slowAfter > 0 && took > l.slowAfter`, `false`, by},
		{"a slow probe closes", file, `if o == domain.Success && l.IsSlow(took) {`, `if false {`, by},
		{"its own trouble is slow", file, `one, slow = tally{own: 1}, false`, `one = tally{own: 1}`, by},
		{"slow calls are no fault of the dependency", file, `l.byDep = slow || `, `l.byDep = `, []string{"./fleet"}},
		{"slow calls are no opinion", file, ` || ratioReached(l.slowMille, 0, e.Calls, slow)`, ``, by},
		{"few calls reach a ratio", file, `ratioMille > 0 && calls >= least`, `ratioMille > 0`, by},
		{
			"an opinion of few calls weighs as much in an aggregate", file,
			`l.fullCalls = max(int64(c.MinCalls/c.MinReplicas), 1)`,
			`_ = c`, by,
		},
		{"the last calls are all calls", "domain/breaker/last.go", `	r.total.add(r.calls[r.next], -1)
`, ``, by},
		{"the last calls are remembered when it closes", file, `	l.last.clear()
`, ``, by},
	}
}

func memberBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{
			"script: the members have no TTL", memberScript,
			`redis.call('PEXPIRE', KEYS[1]`, unless + `redis.call('PEXPIRE', KEYS[1]`, by,
		},
		{"script: a replica that died counts forever", memberScript, `if at and now - at < rest then`, `if at then`, by},
		{"script: a replica counts itself twice", memberScript, `if fields[i] == ARGV[2] or not at`, `if not at`, by},
	}
}

func flightBugs() []mutant {
	const lane, solo = "fleet/internal/flight/lane.go", "fleet/internal/flight/solo.go"
	const flown, run = "fleet/internal/flight/flight.go", "fleet/internal/flight/run.go"
	by := []string{"./fleet/internal/flight", "./fleet"}
	return []mutant{
		{
			"a flight dies with the caller who flies it", solo,
			`s.config.Fly(s.within(f.deadline), f.self[:])`, `s.config.Fly(ctx, f.self[:])`, by,
		},
		{"a flight does not hand over", lane, `l.shard.config.HandOver(f, l.first)`, ``, by},
		{"who left before take-off is asked for", flown, `r.mark(s.nth, left)`, ``, by},
		{"who left before take-off keeps a place in the answer", run, `if r.at(before) == waiting {`, `if before >= 0 {`, by},
		{"callers of other costs are asked for as one run", flown, `last < 0 || f.Runs[last].Ask != ask`, `last < 0`, by},
		{
			"those behind a flight that timed out wait as long again", lane,
			`
	f.end(ErrTimeout)
	l.endQueue(ErrTimeout)`,
			`
	f.end(ErrTimeout)`, by,
		},
		{"those behind a flight that failed fail again", lane, `l.endQueue(f.Err)`, ``, by},
		{
			"a lane that flies alone forgets who came meanwhile", solo,
			`
		if l.land() {
			s.relist(l)
		}`,
			`
		l.land()`, by,
		},
	}
}

func healthBugs() []mutant {
	const file = "fleet/internal/outage/health.go"
	by := []string{"./fleet/internal/outage", "./fleet"}
	return []mutant{
		{"a store that answers again stays down", file, `return h.down.CompareAndSwap(true, false)`, `return false`, by},
		{"everyone tries a store that is down", file, `h.trialAt = now + atMost + longestTrial`, ``, by},
		{"all replicas try a store at the same time", file, `h.pause/2 + time.Duration(random*float64(h.pause/2))`, `h.pause`, by},
		{"failures add up although the store answered between them", file, `	h.failures = 0`, ``, by},
	}
}

func limiterBugs() []mutant {
	const limiter, lane, take = "fleet/limiter.go", "fleet/lane.go", "fleet/take.go"
	by := []string{"./fleet"}
	return []mutant{
		{"a denial is remembered for too long", lane, `now + min(denied.RetryAfter, memoLongest)`, `now + denied.RetryAfter`, by},
		{"a denial outlives the limit that it was made by", lane, ` || m.rule != set.rule`, ``, by},
		{"a denial of a high cost denies the lower ones", lane, `if cost < m.cost {`, `if false {`, by},
		{
			"a cancelled context counts as a failure of the store", limiter,
			`	case ctx.Err() != nil:`,
			`	case ctx.Err() != nil:
		ln.shard.record(context.Cause(ctx))`, by,
		},
		{"calls do not try a store that is down", limiter, `ln.shard.try(ln.touch)`, ``, by},
		{
			"a token handed over pays for a higher cost", take,
			`slices.BinarySearch(g.costs, q.cost)`, `0, 0`, by,
		},
		{"the last token of all is handed over first", take, `slices.BinarySearch(g.costs, q.cost)`, `max(0, len(g.costs)-1), 0`, by},
		{
			"trouble with one bucket takes the store for down", "fleet/shard.go",
			`return ok && trouble.Entity`, `return ok && trouble == nil`, by,
		},
		{"what tries a store only reads", "fleet/lane.go", `Ask{Count: 1, Turn: true}`, `Ask{Count: 1}`, by},
		{
			"a read brings a store up that cannot be written", "fleet/shard.go",
			`err != nil || (s.health.Up() && !s.unwell.Load())`, `true`, by,
		},
		{"a store that lost a reply is asked again only by calls", "fleet/shard.go", `s.ask(*sample)`, ``, by},
	}
}

func outageBugs() []mutant {
	const file = "fleet/outage.go"
	by := []string{"./fleet"}
	return []mutant{
		{"the local share is not divided by the replicas", file, `ln.takeLocal(set.rule, n, q)`, `ln.takeLocal(set.rule, 1, q)`, by},
		{"the local share earns while the store is there", file, `ln.shard.downFor(now, o.earnedAt)`, `(now - o.earnedAt)`, by},
		{
			"what was admitted in an outage is never paid for", file,
			`
	ln.owe(cost)
	return domain.Decision{Allowed: true, Degraded: true, Granted: cost}
`,
			`
	return domain.Decision{Allowed: true, Degraded: true, Granted: cost}
`, by,
		},
		{"a key's bill is paid by the limit's own numbers", "fleet/tier.go", `; t != nil {`, `; false && t != nil {`, by},
		{
			"a limit's way to carry tokens over is not told", "fleet/take.go",
			`rule, how := set.rule, set.manner()`, `rule, how := set.rule, bucket.Manner{First: set.policy.FirstFill}`, by,
		},
		{"a key has its numbers for ever", "fleet/tier.go", ` && now < t.until`, ``, by},
		{"a part is granted that nobody charged", "fleet/demand.go", `min(max(left, 0), q.times)`, `q.times`, by},
		{
			"a limit in shadow refuses while the store is down", "fleet/shadow.go",
			`errors.Is(err, domain.ErrClosed) || `,
			`errors.Is(err, domain.ErrStoreUnavailable) || errors.Is(err, domain.ErrClosed) || `, by,
		},
		{"a bill that is sent again is a new one", file, `if o.billID == 0 {`, `if true {`, by},
		{
			"a replica that never saw the store takes itself for alone", "fleet/member.go",
			`return r.config.ExpectedReplicas`, `return max(r.config.ExpectedReplicas, 1)`, by,
		},
	}
}

func sharedBreakerBugs() []mutant {
	const view, probe = "fleet/view.go", "fleet/probe.go"
	by := []string{"./fleet"}
	return []mutant{
		{"a push of an earlier epoch is believed", view, `case v.Epoch >= known:`, `default:`, by},
		{
			"a flush of the store is a stampede", view,
			`if held && v.State == domain.StateClosed`, `if false && held && v.State == domain.StateClosed`, by,
		},
		{"two timers run when the fleet opens", view, `b.local.Absorb()`, ``, by},
		{
			"a question for a probe dies with its caller", probe,
			`spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)`,
			`spawn(func(context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)`, by,
		},
		{"the lease of a caller who left is forgotten", probe, `b.replica.spawn(func(context.Context) { b.giveBack(grants) })`, ``, by},
		{"a probe's result is not sent", "fleet/permit.go", `b.settleProbe(now, *probe, o, wait)`, ``, by},
		{"a replica that closes leaves its vote", "fleet/replica.go", `r.withdraw(ctx)`, ``, by},
		{
			"a report that was lost is not sent again", "fleet/pulse.go",
			`			b.unsent()
			continue`,
			`			continue`, by,
		},
	}
}

func storeBugs() []mutant {
	const script, bucket = "store/redis/script.go", "store/redis/bucket.go"
	by := []string{"./store/redis"}
	return []mutant{
		{
			"a script whose reply was lost is sent again", script,
			`func (once) NoRetry() bool { return true }`, `func (once) NoRetry() bool { return false }`, by,
		},
		{"an unknown script sends the whole pipeline again", script, `send(ctx, to, calls, unknown)`, `send(ctx, to, calls, nil)`, by},
		{"an unknown script is not sent again", script, `if len(unknown) > 0 {`, `if false {`, by},
		{
			"calls do not say until when they may be done", "store/redis/clock.go",
			`
	if !ok || c.serverMicro == 0 {
		return 0
	}
	return c.serverMicro + deadline.Sub(c.sent).Microseconds()`,
			`
	_, _ = deadline, ok
	return 0`, by,
		},
		{"a call that was too late is not sent again", bucket, `len(stale) > 0 && ctx.Err() == nil`, `false`, by},
		{"one script has the same bucket twice", bucket, `_, again := seen[g.key]; again || i-begin == most`, `i-begin == most`, by},
		{"what cannot be read is not noted to be healed", bucket, `s.heals.note(key)`, ``, by},
		{
			"a call ends long after its context", "store/redis/link.go",
			`timeoutStep = 10 * time.Millisecond`, `timeoutStep = 150 * time.Millisecond`, by,
		},
	}
}

func keyBugs() []mutant {
	const file = "store/redis/key.go"
	by := []string{"./store/redis"}
	return []mutant{
		{"a key that is not plain is not hashed", file, `case plain(id.Key):`, `case true:`, by},
		{"a key may break out of its slot", file, ` || c == '{' || c == '}'`, ``, by},
		{"a caller can bring the hash of another's key", file, `b.WriteByte('#')`, `b.WriteByte('=')`, by},
	}
}

func memoryBugs() []mutant {
	const file = "store/memory/buckets.go"
	by := []string{"./store/memory"}
	return []mutant{
		{"the sweep drops buckets that are not full", file, `if nowMicro-e.state.AtMicro >= e.state.FullMicro() {`, `if true {`, by},
		{"a bucket that was dropped is still used", file, `if !e.gone {`, `if true {`, by},
	}
}

// clockBugs are bugs of the server's clock. Tests of one call bring a clock of
// their own, so only those notice that compare replies with each other.
func clockBugs() []mutant {
	by := []string{"./integration/histories"}
	const read = `now = tonumber(t[1]) * 1000000 + tonumber(t[2])`
	return []mutant{
		{
			"script: a take tells another time than the one it was decided at", takeScript,
			`local out, o, at = {1, now, 0}`, `local out, o, at = {1, now + 1, 0}`, by,
		},
		{
			"script: a step tells another time than the one it was decided at", breakScript,
			`  1, now, 0, f.e, f.s,`, `  1, now + 1, 0, f.e, f.s,`, by,
		},
		{
			"script: a take forgets the seconds of the server's clock", takeScript,
			read, `now = 1795000000000000 + tonumber(t[2])`, by,
		},
		{
			"script: requests that come late are done, if the server's clock decides", breakScript,
			read, read + "\n  not_after = 0", by,
		},
	}
}

func retryBugs() []mutant {
	const file = "orchestrator/retry.go"
	by := []string{"./orchestrator"}
	return []mutant{
		{
			"a call that a breaker refused is retried", file,
			`!s.retryable(w.err)`, `(!s.retryable(w.err) && w.refusedBy == PartNone)`, by,
		},
		{
			"retries do not wait as long as a limit says", file,
			`
	asked, _ := domain.RetryAfter(err)
	pause := max(f.pause, asked)`,
			`
	pause := f.pause`, by,
		},
		{"there is one attempt too many", file, `f.attempts >= s.policy.MaxAttempts`, `f.attempts > s.policy.MaxAttempts`, by},
		{"a pause outlives the deadline", file, `d >= until(deadline)`, `until(deadline) <= 0`, by},
	}
}

func walkBugs() []mutant {
	const breaker = "orchestrator/breaker.go"
	by := []string{"./orchestrator"}
	return []mutant{
		{"a refusal further in counts against the dependency", breaker, `case w.runs == runsBefore:`, `case false:`, by},
		{"a caller who goes away counts against the dependency", breaker, `classify(domain.MarkIgnored(w.err))`, `domain.Failure`, by},
		{"a probe runs on after its lease", breaker, `w.limitTime(f, lease,`, `w.limitTime(f, 2*lease,`, by},
		{"a panic keeps its permit", "orchestrator/step.go", `f.permit.Report(outcome)
		w.tell`, `w.tell`, by},
		{
			"each attempt waits for the store anew", "orchestrator/limit.go",
			`AllowWithin(w.ctx, key, cost, &w.budget)`, `AllowWithin(w.ctx, key, cost, nil)`, by,
		},
		{"each breaker waits for the store anew", breaker, `&w.budget`, `(*fleet.Budget)(nil)`, by},
		{"an outer deadline is taken for one's own", "orchestrator/timeout.go", ` && !is(context.Cause(d.parent), d.cause)`, ``, by},
	}
}

// leakBugs leave something behind, and do nothing else wrong.
func leakBugs() []mutant {
	return []mutant{
		{"leak: a closed replica keeps its buckets", "fleet/limiter.go", `l.byKey, l.size = nil, 0`, ``, []string{"./fleet"}},
		{"leak: a closed replica keeps its debtors", "fleet/shard.go", `s.debtors = nil`, ``, []string{"./fleet"}},
		{
			"leak: a subscription that broke is left to itself", "store/redis/view.go",
			`
		_ = sub.Close()
	}()`,
			`
	}()`,
			[]string{"./store/redis"},
		},
		{
			"leak: who watched and left is still told", "store/memory/breakers.go",
			`return c == pushes`, `return false`,
			[]string{"./store/memory"},
		},
		{
			"leak: the deadline of a call outlives it", "orchestrator/deadline.go",
			`
	d.over = true
	if d.end != nil {
		d.end()
	}`,
			`
	d.over = true`,
			[]string{"./orchestrator"},
		},
	}
}
