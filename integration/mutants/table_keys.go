package main

// breakerKeyBugs are about breakers with keys: how many there are, which may be open, and
// whose they are.
func breakerKeyBugs() []mutant {
	const early, seat, seats = "domain/breaker/early.go", "fleet/seat.go", "fleet/seats.go"
	const keyed, parts, replica = "fleet/keyed.go", "fleet/breakers.go", "fleet/replica.go"
	rules, by := []string{"./domain/breaker"}, []string{"./fleet"}
	return []mutant{
		{"keys: the share that may be open is rounded up", early, `keys*c.mille/1000`, `(keys*c.mille+999)/1000`, rules},
		{"keys: none may be open", early, `open > max(1, `, `open > max(0, `, rules},
		{"keys: calls before the time follow one another", early, `l.restUntil = now + l.recovery/earlyPart`, `l.restUntil = now`, rules},
		{"keys: more are out than there may be probes", early, `l.out = l.out[:early]`, `_ = early`, rules},
		{"keys: a good call before the time is no probe", early, `l.succeeded = 1;`, `l.succeeded = 0;`, rules},
		{"keys: a slow call before the time is good", early, `if o == domain.Success && l.IsSlow(took) {`, `if false {`, rules},
		{"keys: a hung call before the time counts", early, `if !l.takeBack(now, t) || o ==`, `if l.takeBack(now, t); o ==`, rules},
		{"keys: a failed call before the time is no evidence", early, `		l.lastDep = now
`, ``, rules},

		{"keys: who asked to be left alone is not", early, `max(l.restUntil, l.alone)`, `l.restUntil`, rules},
		{"keys: a call that an operator lets pass stays out", keyed, `		s.leave(k.replica.clock.now())`, `		_ = s`, by},
		{"keys: an open one is given up for a new one", seats, `	if isOpen {
		to =`, `	if false {
		to =`, by},
		{"keys: an open one that nobody calls is given up", seats, `int64(now) < s.keptUntil.Load()`, `false`, by},
		{"keys: one is given up with what its window holds", seats, `now-s.movedAt < set.idle()`, `false`, by},
		{"keys: one is given up while a call is out", seat, `if s.out.CompareAndSwap(0, givenUp) {`, `if s.out.Add(givenUp) < 0 {`, by},
		{"keys: calls that nobody reports keep them for ever", seat, `< outLongest {`, `< 1<<62 {`, by},
		{"keys: the end of a call is not noted", "fleet/permit.go", `b.seat.leave(now)`, `_ = now`, by},
		{"keys: there is always room", seats, `|| !k.makeRoom(`, `|| false && !k.makeRoom(`, by},
		{"keys: a long one counts as one", seats, `k.settings.Load(), laneSize(key)`, `k.settings.Load(), 1`, by},
		{
			"keys: those that nobody calls are kept", seats,
			`if s := t.closed.first; s == nil || now-s.movedAt < set.lately {`, `if true {`, by,
		},
		{"keys: open ones that nobody calls count", seats, `		s := t.open.first
		if s == nil || `, `		s := t.open.first
		if s != nil || `, by},
		{
			"keys: half-open ones do not count", seat,
			`b.local.State() != domain.StateClosed || `, `b.local.State() == domain.StateOpen || `, by,
		},
		{"keys: those without a breaker are told of at each call", keyed, `(before != 0 && now-before < int64(quietFor))`, `false`, by},
		{"keys: a missing one is one for all", keyed, `if key == "" || k.replica`, `if k.replica`, by},
		{"keys: too many are open, and they refuse all the same", keyed, ` && k.exceeded.Load() {`, ` && false {`, by},
		{"keys: what an operator opened lets calls through", keyed, `open.Scope != domain.ScopeOperator && `, ``, by},
		{
			"keys: a half-open fleet lets calls through beside its probes", keyed,
			`(b.fleet.state != domain.StateOpen || now >= b.fleet.until)`, `false`, by,
		},
		{"keys: calls go through a fleet that has just opened", seat, `		b.local.RestEarly(now)
`, ``, by},
		{"keys: those that are there miss an update", keyed, `range k.breakers() {`, `range k.breakers()[:0] {`, by},
		{"keys: no push is for one", parts, `if id.Key == "" {`, `if true {`, by},
		{"keys: a forgotten one leaves its vote", seats, `p.parts(s.breaker)`, `_ = p`, by},
		{"keys: one that comes back is not heard", keyed, `uint64(now.Microseconds())`, `0`, by},
		{"keys: a closed replica keeps them", replica, `k.drop()`, `_ = k`, by},
		{
			"keys: what is said to all misses breakers", "orchestrator/step.go",
			`s.limit != nil || s.keyed()`, `s.limit != nil`,
			[]string{"./orchestrator"},
		},
	}
}
