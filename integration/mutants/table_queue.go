package main

// queueScriptBugs are about those who wait, and what goes back, in the script.
func queueScriptBugs() []mutant {
	by := []string{"./store/redis"}
	return []mutant{
		{
			"script: others take before those who wait", takeScript,
			`elseif blocked * 1000 <= u and q == 0 then`, `elseif blocked * 1000 <= u then`, by,
		},
		{"script: a place that is too far away is given", takeScript, `if after <= min(ahead, WAIT) and`, `if after <= WAIT and`, by},
		{"script: a place is an hour away and more", takeScript, `if after <= min(ahead, WAIT) and`, `if after <= ahead and`, by},
		{"script: a wait knows nothing of a clock that stepped back", takeScript, `wait > 0 and wait + u - now or 0`, `wait`, by},
		{"script: tokens are lent while somebody waits", takeScript, `granted = q == 0 and lendable(`, `granted = lendable(`, by},
		{"script: the queue is not stored", takeScript, `keep(k, 'w', format('%.0f', q), '0', h[9])`, `local _ = q`, by},
		{"script: the queue does not pass", takeScript, `q = elapsed > 0 and max(q - elapsed, 0) or q`, `q = q + 0`, by},
		{"script: what passes for the queue is earned again", takeScript, `min(elapsed - q, floor(`, `min(elapsed, floor(`, by},
		{"script: the last place goes back further than it came", takeScript, `min(q, max(step, 0))`, `q`, by},
		{
			"script: the last place goes back below nothing", takeScript,
			`back = min(back, floor(max(x[i], 0) / e[i]))`, `back = back + 0`, by,
		},
		{
			"script: a place with others behind goes back whole", takeScript,
			`x[i] = floor((all - e[i] * behind) / w[i]) * w[i]`, `x[i] = all`, by,
		},
		{"script: a place that is due goes back", takeScript, `at <= u or at > u + q`, `at > u + q`, by},
		{"script: a return is heeded twice", takeScript, `elseif tonumber(number) >= seq then`, `elseif false then`, by},
		{"script: returns are forgotten at once", takeScript, `      if over > u then`, `      if false then`, by},
		{"script: a full bucket forgets what came back", takeScript, ` and r == '' and not lends`, ` and not lends`, by},
		{"script: what comes back makes a queue's bucket fuller", takeScript, `elseif q == 0 then
          granted = cost`, `else
          granted = cost`, by},
		{
			"script: debts have no end", takeScript,
			`tokens = min(tokens, floor((c[i] + DEBTS * f[i]) / w[i]))`, `tokens = tokens + 0`, by,
		},
		{"script: paying for an outage forgives a debt", takeScript, `min(c[i], -f[i]))`, `-f[i])`, by},
		{"script: a reset keeps the queue", takeScript, `          q = 0 -- it is to be full`, ``, by},
		{"script: any queue is believed", takeScript, `if q < 0 or q > WAIT or q % 1 ~= 0 or #r`, `if #r`, by},
	}
}

// queueBugs are about the same, in Go.
func queueBugs() []mutant {
	const queue, returned, state = "domain/bucket/queue.go", "domain/bucket/returned.go", "domain/bucket/state.go"
	memory, fleet := []string{"./domain/bucket", "./store/memory"}, []string{"./fleet"}
	return []mutant{
		{
			"others take before those who wait", state,
			`case st.blockedMicro() > 0 || st.Ahead > 0:`, `case st.blockedMicro() > 0:`, memory,
		},
		{"a look sees tokens that others wait for", state, `	if st.Ahead > 0 {
		return 0
	}
`, ``, memory},
		{
			"a place is due before its tokens are there", queue,
			`st.Ahead, a.StepMicro = wait, wait-st.Ahead`, `st.Ahead, a.StepMicro = wait/2, wait-st.Ahead`, memory,
		},
		{"the last place goes back further than it came", queue, `min(st.Ahead, max(stepMicro, 0))`, `st.Ahead`, memory},
		{"a place with others behind goes back whole", queue, `(all - b.Earn*behindMicro) / b.Worth * b.Worth`, `all`, memory},
		{"a return is heeded twice", returned, `if r.ID.Seq >= id.Seq {`, `if false {`, memory},
		{"what comes back makes a queue's bucket fuller", returned, `	case st.Ahead > 0: // the bucket may have been full since
`, ``, memory},
		{"a full bucket forgets what came back", state, ` && st.Returners == nil`, ``, memory},
		{"a place that was left is nobody's", "fleet/queue.go", `		s.owner, free.owner, next.spot = nil, next, free
		next.tell()
		free = s
`, `		_ = next
`, fleet},
		{"a place that went back is given to another, too", "fleet/giveback.go", `heeded || again || reply.Err != nil`, `false`, fleet},
		{
			"a return that was sent again is taken for refused", "fleet/giveback.go",
			`heeded || again || reply.Err != nil`, `heeded || reply.Err != nil`, fleet,
		},
		{"a replica that closes keeps its places", "fleet/replica.go", `	r.returnPlaces(ctx)
`, ``, fleet},
		{"who waits trusts its clock", "fleet/wait.go", `return wait / 100`, `return 0`, fleet},
		{
			"what a further limit refuses is spent", "orchestrator/limit.go",
			`w.runs != f.runsBefore || w.refusedBy == PartBreaker`, `true`,
			[]string{"./orchestrator"},
		},
		{
			"what was spent goes back", "orchestrator/limit.go",
			`w.runs != f.runsBefore || w.refusedBy == PartBreaker`, `w.refusedBy == PartBreaker`,
			[]string{"./orchestrator"},
		},
		{
			"what an earlier attempt spent goes back", "orchestrator/limit.go",
			`w.runs != f.runsBefore || w.refusedBy == PartBreaker`, `w.reached || w.refusedBy == PartBreaker`,
			[]string{"./orchestrator"},
		},
		{
			"a place of later is a token of now", "fleet/take.go",
			`case r.Answer.DueMicro != 0: // tokens of a later time`, `case false:`,
			[]string{"./fleet"},
		},
		{"what is not due yet is handed on", "fleet/giveback.go", ` && !g.early {`, ` {`, []string{"./fleet"}},
		{"who waits for what was cancelled has it", "fleet/queue.go", `	case r.cancelled:
		return errCancelled
`, ``, []string{"./fleet"}},
		{"a block is waited for", queue, ` || st.blockedMicro() > 0 { // a block may end sooner`, ` {`, memory},
	}
}
