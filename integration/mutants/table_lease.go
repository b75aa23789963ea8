package main

// leaseScriptBugs are about leases, in the script.
func leaseScriptBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{
			"script: what is lent is earned again at once", takeScript,
			`c[i] = refill(c[i], e[i], ends - from, cap(w[i], f[i], sum))`, `c[i] = refill(c[i], e[i], ends - from, f[i])`, by,
		},
		{
			"script: a lease that ended was never there", takeScript,
			`      if ends > from then`, `      if false then`, by,
		},
		{
			"script: a lease does not end", takeScript,
			`if one.ends * TENTH > now then`, `if true then`, by,
		},
		{"script: the same lease is granted again", takeScript, `if same then`, `if false then`, by},
		{"script: a renewal can raise what is left", takeScript, `max(min(left, one.tokens), 0)`, `max(left, 0)`, by},
		{"script: a renewal gives back what may be spent", takeScript, `          if sealed then`, `          if true then`, by},
		{"script: leases that are spent live on", takeScript, `one.seq <= spent then`, `one.seq == spent then`, by},
		{"script: a holder speaks for others", takeScript, `if one.start == start and one.seq < seq`, `if one.seq < seq`, by},
		{
			"script: all of the burst is lent", takeScript,
			`most = min(most, floor(burst / 2) - s.sum)`, `most = min(most, burst - s.sum)`, by,
		},
		{"script: leases take the room of a large cost", takeScript, `most = min(most, burst - s.room - s.sum)`, `most = most + 0`, by},
		{"script: fewer tokens than are worth it are lent", takeScript, `denied = granted < cost`, `denied = granted < 1`, by},
		{"script: a wait does not know of leases in the way", takeScript, `local one = q + due(s, `, `local one = q + due(nil, `, by},
		{"script: a changed limit has room for what is lent", takeScript, `      local lent = s and s.sum or 0
      for i`, `      local lent = 0
      for i`, by},
		{
			"script: a clock that steps back makes leases longer", takeScript,
			`one.ends = max(one.ends - floor(back / TENTH), 0)`, `one.ends = one.ends + 0`, by,
		},
		{
			"script: a key with leases goes as if it had none", takeScript,
			`full_in = max(full_in, q + due(s, `, `full_in = max(full_in, q + due(nil, `, by,
		},
		{"script: a lease is not stored", takeScript, `      if one.changed then`, `      if false then`, by},
		{
			"script: a lease that is at an end stays stored", takeScript,
			`redis.call('HDEL', KEYS[k], unpack(s.drop))`, `local _ = s.drop`, by,
		},
		{"script: any end of a lease is believed", takeScript, ` or one.ends * TENTH > u + 2000 * LIFE`, ``, by},
		{"script: a turn for a lease is that of one token", takeScript, `local tokens = lease and cost or 1`, `local tokens = 1`, by},
		{"script: a block is not stored", takeScript, `if blocked > 0 or h[8] then`, `if false then`, by},
		{"script: a block lets calls through", takeScript, `elseif blocked * 1000 <= u and q == 0 then`, `elseif q == 0 then`, by},
		{"script: a block lends", takeScript, `if count > 0 and blocked * 1000 > u then`, `if false then`, by},
		{"script: a refusal does not know of the block", takeScript, `retry = max(retry, blocked * 1000 - u)`, `retry = max(retry, 1)`, by},
		{"script: a full bucket forgets its block", takeScript, ` and blocked == 0 and q == 0`, ` and q == 0`, by},
		{
			"script: a key goes before its block ends", takeScript,
			`local full_in = max(d, blocked * 1000 - u, `, `local full_in = max(d, `, by,
		},
		{"script: a grant fills up what is lent", takeScript, `max(more, 0), s and s.sum or 0)`, `max(more, 0), 0)`, by},
		{"script: any block is believed", takeScript, `if blocked < 0 or blocked > BIG / 1000 or blocked`, `if blocked`, by},
		{"script: the short way takes beside leases", takeScript, `if #h == 6 and h[1]`, `if #h >= 6 and h[1]`, by},
	}
}

// leaseBugs are about leases, in Go.
func leaseBugs() []mutant {
	const state, holder, ahead = "domain/bucket/lease.go", "fleet/internal/lease/lease.go", "fleet/ahead.go"
	memory, fleet := []string{"./store/memory"}, []string{"./fleet", "./fleet/internal/lease"}
	return []mutant{
		{
			"what is lent is earned again at once", state,
			`st.Credits[i], elapsedMicro, b.cap(lent))`, `st.Credits[i], elapsedMicro, b.cap(0*lent))`, memory,
		},
		{"a lease that ended was never there", state, `			st.refill(end-from, lent)
			from = end`, `			from += 0`, memory},
		{
			"the short way takes beside leases", "domain/bucket/state.go",
			`st.Leases != nil || st.Blocked != 0`, `st.Blocked != 0`,
			[]string{"./domain/bucket"},
		},
		{"a bucket that lends is as good as none", "domain/bucket/state.go", ` && st.Leases == nil && `, ` && `, memory},
		{
			"a lease outlives the store's memory of it", holder,
			`return a.sent + life - life/driftParts - margin`, `return a.sent + life + 4*margin`, fleet,
		},
		{"a lease counts from its reply", holder, `until: a.until()}`, `until: a.until() + now - a.sent}`, fleet},
		{
			"a lost answer is asked for under another name", holder,
			`if h.asked != nil && now >= h.asked.until() {`, `if h.asked != nil {`, fleet,
		},
		{"a holder takes more than it has", holder, `if left < cost {`, `if left < 1 {`, fleet},
		{"a lease is only renewed when it is spent", holder, `low: granted / 4, renewAt:`, `low: -1, renewAt:`, fleet},
		{
			"cold keys take tokens ahead", holder,
			`if h.since == 0 || l == nil && elapsed > 10*refresh {`, `if false && l == nil && elapsed > 0 {`, fleet,
		},
		{"limits that are too small are lent", holder, `t.Rule.Burst()/replicas/4`, `t.Rule.Burst()/replicas`, fleet},
		{"what a closed holder is granted is spent", holder, `h.next, h.asked = nil, nil`, `h.next = nil`, fleet},
		{"closing keeps what was taken ahead", "fleet/replica.go", `	r.returnLeases(ctx)
`, ``, fleet},
		{"a denied lease is asked for by each caller", ahead, `	ln.remember(asked.Rule, 1, out[last])
`, ``, fleet},
		{"the short way takes what is blocked", "domain/bucket/state.go", ` || st.Blocked != 0 ||`, ` ||`, []string{"./fleet"}},
		{"a denial is remembered after a grant", "fleet/operate.go", `	ln.memo.Store(nil)
`, ``, fleet},
		{"a peek does not know of a lease", ahead, `d.Allowed, d.Remaining = left > 0, left
		return left > 0`, `return false && left > 0`, fleet},
	}
}
