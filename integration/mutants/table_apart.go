package main

// disagreeBugs are about what people see of replicas that differ from the fleet.
func disagreeBugs() []mutant {
	const local, pulse, view = "domain/breaker/local.go", "fleet/pulse.go", "fleet/view.go"
	by, memory := []string{"./fleet"}, []string{"./store/memory"}
	return []mutant{
		{"script: an own layer that is open is not kept", breakScript, `':' .. ARGV[17] ..`, `':0' ..`, []string{"./store/redis"}},
		{"an own layer that is open is not kept", fleetRules, `max(e.Failures, 0), e.Open,`, `max(e.Failures, 0), false,`, memory},
		{"script: the last trouble is not kept", breakScript, `':' .. ARGV[18] --`, `':0' --`, []string{"./store/redis"}},
		{"the last trouble is of any time", local, `if now-l.troubleAt < l.window {`, `if now >= 0 {`, []string{"./domain/breaker"}},
		{"a probe's trouble is not told", local, `		l.note(now, TroubleOwn)
		l.open(now)`, `		l.open(now)`, []string{"./domain/breaker"}},
		{
			"an own layer that is open is told for as long as evidence counts", local,
			`e.Open, e.ForMicro = true, l.RetryAfter(now).Microseconds()`, `e.Open = true`, by,
		},
		{
			"an own layer that is open is told with the next calls", pulse,
			`case !counted && b.local.State() == domain.StateClosed,`, `case !counted,`, by,
		},
		{"an own layer that is open is told again and again", pulse, `return counted && b.saysMore`, `return b.saysMore`, by},
		{"the first window's weight is told late", pulse, `case early && now-b.report.began >= b.policy.Window:`, `case early:`, by},
		{"each change of a weight is told at once", pulse, `e.Weight >= 2*sent.Weight`, `e.Weight > sent.Weight`, by},
		{
			"what weighs twice as much is told at once for ever", pulse,
			`early && now-b.report.began >= b.policy.Window:`, `early && now < 0:`, by,
		},
		{"that the own layer opened alone is not told", pulse, `case e.Open != sent.Open || `, `case `, by},
		{"own trouble is not told to a fleet that closes", view, `b.report.sent.Open = false`, `_ = b.report.sent.Open`, by},
	}
}
