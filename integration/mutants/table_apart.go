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
			`if !counted && b.local.State() == domain.StateClosed {`, `if !counted {`, by,
		},
		{"an own layer that is open is told again and again", pulse, `return counted && b.saysMore`, `return b.saysMore`, by},
		{"that the own layer opened alone is not told", pulse, `if e.Open != sent.Open || `, `if `, by},
		{"own trouble is not told to a fleet that closes", view, `b.report.sent.Open = false`, `_ = b.report.sent.Open`, by},
	}
}
