package main

const (
	holdUse     = "fleet/hold.go"
	lockUse     = "fleet/lockway.go"
	exclusive   = "fleet/exclusive.go"
	memoryLocks = "store/memory/locks.go"
	fenceScript = "contrib/redsync/fence.lua"
	fenceUse    = "contrib/redsync/fence.go"
	checkUse    = "fleet/check.go"
)

// exclusiveBugs are about one call at a time in the whole fleet, and how it ends.
func exclusiveBugs() []mutant {
	by := []string{"./fleet"}
	return []mutant{
		{
			"lock: calls of one replica ask beside each other", exclusive,
			`turn: make(chan struct{}, 1)`, `turn: make(chan struct{}, 9)`, by,
		},
		{"lock: who was refused keeps the turn", exclusive, `	<-e.turn
	return nil, err`, `	return nil, err`, by},
		{"lock: one that was taken for a replica that closes stays", exclusive, `	e.free(ctx, g.lock)
`, ``, by},
		{
			"lock: a call waits beyond its time", exclusive,
			`min(pause/2+e.replica.jitter(pause/2), until-now)`, `pause/2+e.replica.jitter(pause/2)`, by,
		},
		{"lock: waiting for it is time spent on the store", exclusive, `if !answered || p.MaxWait == 0 {`, `if !answered || true {`, by},
		{"lock: a refusal does not say that it is held here", exclusive, `Here: here}`, `Here: false}`, by},
		{"lock: it is asked for as often as at first", exclusive, `pause = min(2*pause, lockRarely)`, `pause = lockAgain`, by},
		{"lock: an update changes which one it is", exclusive, `if p.Name != e.policy.Name {`, `if false {`, by},

		{"lock: it is extended when it is over", holdUse, `h.lease/extendParts`, `h.lease`, by},
		{"lock: it is extended after the longest time", holdUse, `if now >= h.end {`, `if false {`, by},
		{
			"lock: nothing ends a call after the longest time", holdUse,
			`context.WithTimeoutCause(ctx, p.MaxHold, h.overdue)`, `context.WithCancel(ctx)`, by,
		},
		{"lock: one answer that does not come loses it", holdUse, `		h.why = err
`, `		h.why, h.refused = err, true
`, by},
		{"lock: a call goes on after the store has given it away", holdUse, `	default:
		h.refused = true
	}`, `	}`, by},
		{
			"lock: it is taken to last from the answer on", holdUse,
			`h.until, h.why = lockEnd(sent, h.lease), nil`, `h.until, h.why = lockEnd(max(sent, e.replica.clock.now()), h.lease), nil`, by,
		},
		{"lock: what succeeded late has failed", holdUse, `	case err == nil:
		return nil
	case h.Overdue()`, `	case h.Overdue()`, by},
		{"lock: leaving waits for a store that gave no answer", holdUse, `if !held {
		return //`, `if !held && refused {
		return //`, by},
		{"lock: its loss is no event", holdUse, `if h.Lost() {
		h.exclusive`, `if false {
		h.exclusive`, by},
		{"lock: a replica that closes lets its calls go on", holdUse, `h.gone(domain.ErrClosed)`, `_ = domain.ErrClosed`, by},
		{"lock: it does not go back", holdUse, `		e.free(ctx, h.lock)
	}) {`, `		_ = ctx
	}) {`, by},
		{"lock: who leaves keeps the turn", holdUse, `	defer func() { <-e.turn }()
`, ``, by},
		{"lock: an extension that did not come in time is not said to be why", holdUse, `	if why == nil {
		why = errNotExtended
	}
`, ``, by},

		{"lock: one that came too late is nobody's, and stays", lockUse, `		w.free(ctx, g.lock)
`, ``, by},
		{"lock: a store that is down is asked each time", lockUse, `case !w.shard.health.Up() &&`, `case false &&`, by},
		{"lock: locks and buckets fail as one", lockUse, `lockShards + shardNumber(`, `shardNumber(`, by},
		{"lock: it goes back only while its caller is there", lockUse, `context.WithoutCancel(ctx)`, `ctx`, by},
		{"lock: it is held for as long as the store has it", lockUse, `sent + lasting - lasting/50 - leaseMargin`, `sent + lasting`, by},
	}
}

// lockStoreBugs are about the stores of locks.
func lockStoreBugs() []mutant {
	memory, redsync := []string{"./store/memory"}, []string{"./contrib/redsync"}
	return []mutant{
		{"memory: a lock that is held is given again", memoryLocks, `if h.lasting > 0 {`, `if false {`, memory},
		{"memory: tokens of one µs are the same", memoryLocks, `max(h.token+1, uint64(max(now, 0)))`, `uint64(max(now, 0))`, memory},
		{"memory: tokens are numbers of a store's life", memoryLocks, `max(h.token+1, uint64(max(now, 0)))`, `h.token + 1`, memory},
		{"memory: anybody changes a lock", memoryLocks, `h.lasting == 0 || h.token != token`, `h.lasting == 0`, memory},
		{"memory: a lock that is over is extended", memoryLocks, `h.lasting == 0 || h.token != token`, `h.token != token`, memory},
		{"memory: a lock lasts a µs longer", memoryLocks, `if now-h.at >= h.lasting {`, `if now-h.at > h.lasting {`, memory},
		{"memory: a lock waits for a clock that stepped back", memoryLocks, `		l.last[id] = h
	}
	if now`, `	}
	if now`, memory},

		{
			"fence: who lost the lock gets a token", fenceScript,
			`if redis.call('GET', KEYS[1]) ~= ARGV[1] then`, `if false then`, redsync,
		},
		{"fence: tokens begin anew after a flush", fenceScript, `token = math.max(last + 1, now)`, `token = last + 1`, redsync},
		{"fence: tokens are the time", fenceScript, `token = math.max(last + 1, now)`, `token = now`, redsync},
		{"fence: a token that cannot be is believed", fenceScript, `if not (last >= 0 and last < 2 ^ 53) then`, `if false then`, redsync},
		{"fence: a lower token of another server is taken", fenceScript, `elseif last > given then`, `elseif false then`, redsync},
		{"fence: the last token is forgotten", fenceScript, `'PX', ARGV[3])`, `'PX', '1')`, redsync},
		{"fence: the highest token is not told to all", fenceUse, `token == 0 || same {`, `token == 0 || same || true {`, redsync},
		{"fence: the token of one server is enough", fenceUse, `len(l.pools)/2+1`, `1`, redsync},
		{
			"redsync: a lock whose token did not come stays", "contrib/redsync/locks.go",
			`		_, _ = k.Unlock(ctx) // it`, `		// it`, redsync,
		},
		{"redsync: one dead server takes all the time", "contrib/redsync/locks.go", `		left /= steps
`, `		_ = steps
`, redsync},
	}
}

// checkBugs are about health checks.
func checkBugs() []mutant {
	by := []string{"./fleet"}
	return []mutant{
		{
			"check: calls are probes although a replica is elected", "fleet/breaker.go",
			`if !checks && b.check.covers(now) {`, `if false {`, by,
		},
		{"check: nobody's calls are probes where none can be elected", checkUse, `now < c.covered }`, `true }`, by},
		{
			"check: it goes on under an operator's order", checkUse,
			`c.breaker.fleet.closed() || c.breaker.mute()`, `c.breaker.fleet.closed()`, by,
		},
		{"check: one that failed is followed by the same replica's", checkUse, `		c.resign(ctx)
		c.again = c.replica.clock.now() + 2*c.every()
`, ``, by},
		{"check: one that panics has passed", checkUse, `	outcome = domain.Failure
	defer`, `	outcome = domain.Success
	defer`, by},
		{
			"check: it goes on when its lease is over", checkUse,
			`context.WithTimeoutCause(ctx, lease, `, `context.WithTimeoutCause(ctx, 2*lease, `, by,
		},
		{"check: who has nothing to do stays elected", checkUse, `if c.lock != nil && wait > c.every() {`, `if false {`, by},
		{"check: its lock ends while it runs", checkUse, `now+takes > c.until`, `now > c.until`, by},
		{
			"check: who refuses its own calls stays elected", checkUse,
			`open.Scope == domain.ScopeReplica`, `open.Scope == domain.ScopeOperator`, by,
		},
		{"check: a second one takes its place", checkUse, `if b.check != nil {`, `if false {`, by},
		{"check: who resigns keeps calls away", checkUse, `	c.cover(0)
`, ``, by},
		{"check: another replica that is elected counts for nothing", checkUse, `c.cover(now + 2*every + timeout)`, `c.cover(now)`, by},
		{"check: all breakers have one lock", checkUse, `Key: b.id.Name})`, `Key: ""})`, by},
		{"check: a lock that it cannot extend is its own", checkUse, `if !ok || err != nil {
			c.resign`, `if (!ok || err != nil) && false {
			c.resign`, by},
	}
}
