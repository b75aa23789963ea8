package main

// quickBugs are of the short way of a report through its script: each leaves out one of
// the looks by which it takes no other report than it may.
func quickBugs() []mutant {
	by := []string{"./store/redis"}
	quick := func(name, old, fresh string) mutant {
		return mutant{"script: the short way of a report " + name, breakScript, old, fresh, by}
	}
	return []mutant{
		quick("takes one that leaves", `if op ~= 'report' or ARGV[13] ~= '0' then`, `if op ~= 'report' then`),
		quick("goes by other rules", `if h.err or h[1] ~= claim or`, `if h.err or not h[1] or`),
		quick("takes another epoch's", ` or h[3] ~= ARGV[6] or`, ` or`),
		quick("leaves rules disputed", ` or h[5] ~= '0' then`, ` then`),
		quick("takes an older one", ` or tonumber(seq) >= tonumber(token) then`, ` then`),
		quick("does not see that the opinion changed", ` or says ~= ARGV[10] or`, ` or`),
		quick("forgets what the dependency asked for", `if says == '1' and ARGV[16] ~= '0' then`, `if says == '2' then`),
		quick("lets votes count for ever", ` or now - w >= tonumber(window) or`, ` or`),
		quick("ends a ramp", ` or now - t < l then`, ` then`),
		quick("is lost when the clock steps back", `y > 1 or w > now or`, `y > 1 or`),
		quick("never opens", `if nb >= tonumber(replicas) and`, `if nb >= 2000 and`),
		quick("does not count the weight", `wa, wb = wa + change,`, `wa, wb = wa,`),
		quick("hides an operator's order", `{1, now, 0, known, 0, 0, y, 0, 0, 0, serial, 0}`, `{1, now, 0, known, 0, 0, y, 0, 0, 0, 0, 0}`),
	}
}
