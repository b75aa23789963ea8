package main

// rampKeyBugs are about ramps of breakers with keys, and about when a step begins.
func rampKeyBugs() []mutant {
	by := []string{"./fleet"}
	return []mutant{
		{"all keys share a ramp", rampUse, `return b.id.Name + "=" + b.id.Key`, `return b.id.Name`, by},
		{"what a ramp refuses gives up its key's place twice", rampUse, `		b.seat.enter() //`, `		_ = b //`, by},
		{"a ramp that is over is kept", rampUse, `		b.rise = nil
		b.regate()`, `		b.regate()`, by},
		{"a closed replica keeps its ramps", "fleet/replica.go", `		b.dropRamp()
`, ``, by},
		{"a store is tried with the ramp of a key that went", rampUse, `b.seat != nil
	b.rise`, `false
	b.rise`, by},
		{
			"a ramp lets calls pass since other keys are open", "fleet/keyed.go",
			`if b.fleet.closed() && b.local.State() == domain.StateClosed {`, `if false {`, by,
		},
		{
			"keys are given a ramp that the store cannot", "fleet/keyed.go",
			`if err := k.replica.canShare(set.policy); err != nil {`, `if err := error(nil); err != nil {`, by,
		},
		{
			"turns outlive the rule that they were of", "domain/bucket/state.go",
			`st.Rule, st.Turn = *r, 0`, `st.Rule = *r`,
			[]string{"./store/memory"},
		},
		{
			"script: turns outlive the rule that they were of", "scripts/lua/bucket_take.lua",
			`c, d, changed = carry(how, mine, stored, c), 0, true`, `c, changed = carry(how, mine, stored, c), true`,
			[]string{"./store/redis"},
		},
	}
}
