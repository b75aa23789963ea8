// Package breaker is the two state machines of a circuit breaker: [Local], the
// layer of one replica, and [Fleet], the layer that all replicas share. Both
// are pure: the time is an argument, and there is no lock and no I/O.
//
// Fleet is the twin of scripts/lua/breaker_step.lua; the conformance suite of
// store/storetest holds them together.
package breaker

import (
	"math"

	"github.com/holdfast-go/holdfast/domain"
)

// Rules are the numbers of the fleet's layer, compiled. Stored beside a breaker
// they are a claim: whose numbers decide. Rules are compared with ==.
type Rules struct {
	Version          int64
	MinReplicas      int64 // bad replicas needed to open
	QuorumMille      int64 // thousandths of all weight that they must have
	WindowMicro      int64
	RecoveryMicro    int64
	MaxRecoveryMicro int64
	Probes           int64
	LeaseMicro       int64
	Successes        int64
	HalfOpenMicro    int64
	RampMicro        int64 // how long admission rises after closing; 0 = not at all
}

// Compile returns the rules of a valid policy; else what its Validate says.
func Compile(c domain.CircuitBreaker) (Rules, error) {
	if err := c.Validate(); err != nil {
		return Rules{}, err
	}
	c = c.WithDefaults()
	r := Rules{
		Version:          c.Version,
		MinReplicas:      int64(c.MinReplicas),
		QuorumMille:      mille(c.Quorum),
		WindowMicro:      c.Window.Microseconds(),
		RecoveryMicro:    c.RecoveryTimeout.Microseconds(),
		MaxRecoveryMicro: c.MaxRecoveryTimeout.Microseconds(),
		Probes:           int64(c.Probes),
		LeaseMicro:       c.ProbeLease.Microseconds(),
		Successes:        int64(c.SuccessThreshold),
		HalfOpenMicro:    c.MaxHalfOpen.Microseconds(),
		RampMicro:        c.Ramp.Microseconds(),
	}
	if c.Sharing == domain.ShareAny {
		r.MinReplicas, r.QuorumMille = 1, 0
	}
	return r, nil
}

// mille is a ratio in thousandths, in which ratios are compared exactly. It is
// rounded down, so that two of three reach two thirds; but what a decimal
// fraction lacks because it is binary is given to it: 0.57 is 570.
func mille(ratio float64) int64 { return int64(math.Floor(ratio*1000 + 1e-9)) }

// numbers are all of r, in the order in which the protocol writes them.
func (r Rules) numbers() [11]int64 {
	return [...]int64{
		r.Version, r.MinReplicas, r.QuorumMille, r.WindowMicro, r.RecoveryMicro,
		r.MaxRecoveryMicro, r.Probes, r.LeaseMicro, r.Successes, r.HalfOpenMicro, r.RampMicro,
	}
}

// Numbers appends all of r to dst, in the order of the protocol: version, then
// the others as they stand in the struct.
func (r Rules) Numbers(dst []int64) []int64 {
	n := r.numbers()
	return append(dst, n[:]...)
}

// RulesOf is the inverse of Numbers: what is missing at the end of n is 0.
func RulesOf(n []int64) Rules {
	var all [11]int64
	copy(all[:], n)
	return Rules{
		Version: all[0], MinReplicas: all[1], QuorumMille: all[2], WindowMicro: all[3], RecoveryMicro: all[4],
		MaxRecoveryMicro: all[5], Probes: all[6], LeaseMicro: all[7], Successes: all[8], HalfOpenMicro: all[9],
		RampMicro: all[10],
	}
}

// better reports whether r wins over the stored rules at once: by a higher
// version; at equal versions by the first number that is larger, which is a
// strict total order, so that replicas which disagree settle on one claim.
func (r Rules) better(stored Rules) bool {
	mine, theirs := r.numbers(), stored.numbers()
	for i := range mine {
		if mine[i] != theirs[i] {
			return mine[i] > theirs[i]
		}
	}
	return false
}

// probeWait is how long after the start of half-open it waits for as many
// replicas as opened it to ask for a probe. It is no longer than half-open: else
// a replica that is alone could never close it.
func (r Rules) probeWait() int64 { return min(r.LeaseMicro, r.RecoveryMicro/4, r.HalfOpenMicro) }

// recovery is how long it stays open after growth reopenings in a row.
func (r Rules) recovery(growth int64) int64 {
	d := r.RecoveryMicro
	for range growth {
		if d >= r.MaxRecoveryMicro {
			break
		}
		d *= 2
	}
	return min(d, r.MaxRecoveryMicro)
}
