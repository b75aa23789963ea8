package main

// permitBugs are about who holds permits of a bulkhead, in the script and its twin.
func permitBugs() []mutant {
	const script, state = "scripts/lua/permit_hold.lua", "domain/bulkhead/state.go"
	redis, memory := []string{"./store/redis"}, []string{"./domain/bulkhead", "./store/memory"}
	return []mutant{
		{"script: permits are given beyond the room", script, `local free, own = room - held`, `local free, own = room`, redis},
		{"script: the dead keep their permits", script, `return now - one.at < one.rest and one or nil`, `return one`, redis},
		{"script: what comes late is heeded", script, `local fresh = seq > mine.seq`, `local fresh = true`, redis},
		{"script: permits are taken from who does not know", script, `keeps = max(may, min(keep, mine.held))`, `keeps = may`, redis},
		{"script: who comes back has what it had", script, `keeps = max(may, min(keep, mine.held))`, `keeps = max(may, keep)`, redis},
		{"script: one takes all", script, `max(min(want, max(own, free - owed), free), 0)`, `max(min(want, free), 0)`, redis},
		{
			"script: nobody has more than an even share", script,
			`max(min(want, max(own, free - owed), free), 0)`,
			`max(min(want, own, free), 0)`, redis,
		},
		{"script: a clock that steps back makes permits last", script, `one.at = min(one.at, now)`, `one.at = one.at + 0`, redis},
		{"script: who leaves stays", script, `  redis.call('HDEL', KEYS[1], ARGV[3])
`, ``, redis},
		{"script: the key goes before the last holder", script, `last = max(last, one.at + one.rest - now)`, `last = last + 0`, redis},
		{"script: any number of permits is believed", script, ` or one.held > MOST`, ``, redis},
		{"script: a call that is too late is heeded", script, `not_after > 0 and now > not_after`, `false`, redis},

		{"permits are given beyond the room", state, `free, own := ask.Room-held, `, `free, own := ask.Room, `, memory},
		{"the dead keep their permits", state, `		if !h.live(nowMicro) {`, `		if false {`, memory},
		{"what comes late is heeded", state, `if ask.Seq <= before.Seq {`, `if false {`, memory},
		{"permits are taken from who does not know", state, `max(room, min(ask.Keep, before.Held))`, `room`, []string{"./fleet"}},
		{"who comes first has all the turns", state, `max(nowMicro, 0) / turnMicro % n * room % n`, `0 * n`, memory},
		{"script: who comes first has all the turns", script, `local first = floor(now / TURN) % n * room % n`, `local first = 0`, redis},
		{"one takes all", state, `min(ask.Want, max(own, free-owed), free)`, `min(ask.Want, free)`, memory},
	}
}

// roomBugs are about one replica's use of bulkheads.
func roomBugs() []mutant {
	const bulkhead, permits = "fleet/bulkhead.go", "fleet/permits.go"
	by := []string{"./fleet"}
	return []mutant{
		{"there is always room", bulkhead, `len(b.queue) == 0 && b.running < b.room()`, `len(b.queue) == 0`, by},
		{"who leaves the queue has its room for good", bulkhead, `		if err == nil && why != nil {
			b.release()`, `		if err == nil && why != nil {`, by},
		{"a call that ends serves nobody", bulkhead, `	b.running--
	b.serve()`, `	b.running--`, by},
		{"permits last for ever", permits, `p.bulkhead.replica.clock.now() < p.until`, `true`, by},
		{
			"a deadline counts from the answer", permits,
			`p.until = sent + permitsLast - permitsLast/50 - leaseMargin`,
			`p.until = p.bulkhead.replica.clock.now() + permitsLast`, by,
		},
		{"room that was given back is used", permits, `want, min(p.may, want)`, `want, p.may`, by},
		{"what it may run is not told", permits, `Keep: max(b.running, p.may)`, `Keep: b.running`, by},
		{"permits are not renewed", permits, `return p.sent + renewEvery`, `return p.sent + 10*permitsLast`, by},
		{"idle permits are kept", permits, `	case p.peak < p.wanted:
		return 0
`, ``, by},
		{"a word that was lost is not said again", permits, `	case p.lost:
		return p.sent + askAgain
`, ``, by},
		{"a refusal of long ago is remembered", permits, `now < p.shortAt+askAgain`, `now < p.sent+askAgain`, by},
		{"less room is in force after the next answer", permits, `min(p.may, int64(p.bulkhead.policy.MaxConcurrent))`, `p.may`, by},
		{"a peak is never over", permits, `p.peak, p.peakSince = need, now`, `p.peakSince = now`, by},
		{"a replica that closes keeps its permits", permits, `if b.permits.held > 0 || b.permits.awake {`, `if false {`, by},
		{"a refusal that is known is waited for", permits, `case p.short && now < p.shortAt+askAgain:`, `case p.short && now < 0:`, by},
		{
			"in an outage each has all of the room", permits,
			`max(int64(p.bulkhead.policy.MaxConcurrent/n), 1)`,
			`int64(p.bulkhead.policy.MaxConcurrent)`, by,
		},
		{
			"a bulkhead keeps its room after a panic", "orchestrator/step.go",
			`	f.slot.Leave() // does nothing`, `	// does nothing`,
			[]string{"./orchestrator"},
		},
	}
}

// budgetBugs are about budgets and hedges.
func budgetBugs() []mutant {
	const account, budget, hedge, plan = "fleet/account.go", "fleet/retrybudget.go", "orchestrator/hedge.go", "orchestrator/plan.go"
	fleet, by := []string{"./fleet"}, []string{"./orchestrator"}
	return []mutant{
		{"what was earned does not lapse", account, `a.balance = min(a.balance, a.most())`, `_ = a.most()`, fleet},
		{"it lapses at once", account, `return max(a.sum, domain.RatioUnit)`, `return domain.RatioUnit`, fleet},
		{"who calls seldom earns nothing", account, `return max(a.sum, domain.RatioUnit)`, `return a.sum`, fleet},
		{"a retry costs nothing", account, `	a.balance -= domain.RatioUnit
`, ``, fleet},
		{"the floor is each replica's", budget, `return err == nil && d.Allowed`, `return err == nil && (d.Allowed || true)`, fleet},
		{
			"an empty budget is told each time", budget,
			`b.replica.firstSeen(&b.empty) {`,
			`b.replica.firstSeen(&b.empty) || true {`, fleet,
		},
		{"nested retries earn each", "orchestrator/budget.go", `earns: !earning[p.Name]`, `earns: true`, by},
		{"a budget that is empty stops nothing", "orchestrator/retry.go", `if !s.budget.spend(w.ctx, &w.budget) {`, `if false {`, by},
		{
			"a pause that cannot be spends the budget", "orchestrator/retry.go",
			`if end := reaches(w.ctx, pause); end != nil {`,
			`if end := reaches(w.ctx, pause); false {`, by,
		},
		{
			"every function is hedged", "orchestrator/do.go",
			`if says, ok := op.(domain.Idempotent); ok && says.Idempotent() {`,
			`if true {`, by,
		},
		{"losers go on", hedge, `			r.won = t
		}
		r.cancel()`, `			r.won = t
		}`, by},
		{"a failure wins", hedge, `case t.err == nil && t.reached:`, `case true:`, by},
		{"hedges begin after a try has ended", hedge, `	r.over = true
	r.timer.Stop()
`, ``, by},
		{"a call returns before its tries have", hedge, `	first := r.first()
	r.running.Wait()`, `	first := r.first()`, by},
		{
			"there is no end of hedges", hedge,
			`if r.started++; r.started < r.hedged.step.policy.MaxHedges {`,
			`if r.started++; true {`, by,
		},
		{"hedges have no budget", hedge, `if !ok || r.over {`, `if !ok && false || r.over {`, by},
		{"the last error counts", hedge, `	if r.won != nil {
		first = *r.won`, `	if r.won != nil || first.err != nil {
		first = *r.won`, by},
		{"a hedge's panic is lost", hedge, `	case r.panics != nil:
		panic(r.panics)
`, ``, by},
		{"a breaker around a hedge counts what never ran", hedge, `w.runs += t.runs - 1`, `w.runs += 0 * t.runs`, by},
		{"each try is seen by the observer", plan, `	p.hedged.inner.observer = nil // it sees the call once
`, ``, by},
		{
			"a call may not name the limits of the other half", plan,
			`part.dropped = append(part.dropped, p.steps[i].name())`,
			`_ = i`, by,
		},
	}
}
