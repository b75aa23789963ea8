package fleet

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// An Overview is a look at all parts of a replica, each kind in the order of its names:
// for gauges and pages of state.
type Overview struct {
	Health    Health
	Limits    []string
	Breakers  []Status // without those of keys
	Keyed     []Keys
	Bulkheads []BulkheadStatus
}

// Overview reads the replica and changes nothing. It makes no store call.
func (r *Replica) Overview() Overview {
	look, keyed := Overview{Health: r.Health()}, r.everyKeyed()
	r.mu.Lock()
	breakers, bulkheads := slices.Collect(maps.Values(r.breakers)), slices.Collect(maps.Values(r.bulkheads))
	for name := range r.limiters {
		if !strings.HasPrefix(name, reserved) {
			look.Limits = append(look.Limits, name)
		}
	}
	r.mu.Unlock()
	slices.Sort(look.Limits)
	for _, b := range breakers {
		look.Breakers = append(look.Breakers, b.Status())
	}
	for _, k := range keyed {
		look.Keyed = append(look.Keyed, k.Keys())
	}
	for _, b := range bulkheads {
		look.Bulkheads = append(look.Bulkheads, b.Status())
	}
	slices.SortFunc(look.Breakers, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(look.Keyed, func(a, b Keys) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(look.Bulkheads, func(a, b BulkheadStatus) int { return cmp.Compare(a.Name, b.Name) })
	return look
}
