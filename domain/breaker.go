package domain

import "time"

// The defaults of a CircuitBreaker.
const (
	DefaultFailureThreshold   = 5
	DefaultMinCalls           = 20
	DefaultWindow             = 10 * time.Second
	DefaultRecoveryTimeout    = 30 * time.Second
	DefaultMaxRecoveryTimeout = 5 * time.Minute
	DefaultSuccessThreshold   = 2
	DefaultProbes             = 1
	DefaultProbeLease         = 10 * time.Second
	DefaultMinReplicas        = 2
	DefaultQuorum             = 0.5
)

// A Sharing says whose opinions open a breaker for the whole fleet.
type Sharing uint8

// The ways to share a breaker. The zero value is ShareDefault.
const (
	// ShareDefault is ShareQuorum, and of a breaker that is Keyed ShareLocal: each
	// replica asks the store about each shared key all the time, so that sharing
	// them has to be asked for.
	ShareDefault Sharing = iota
	// ShareQuorum opens the fleet when at least MinReplicas replicas are bad
	// and their weight is at least Quorum of all the weight there is.
	ShareQuorum
	// ShareAny opens the fleet as soon as one replica's own layer tripped on
	// dependency failures: one sick replica then stops all of them.
	ShareAny
	// ShareLocal shares nothing: each replica has a breaker of its own.
	ShareLocal
	// ShareAggregate is ShareQuorum for fleets whose replicas each see little: an
	// opinion has its full weight already at MinCalls divided by MinReplicas, and
	// so counts for no more than that, however busy its replica is.
	ShareAggregate
)

// String returns the sharing's name in the text form of policies.
func (s Sharing) String() string {
	switch s {
	case ShareDefault:
		return "default"
	case ShareQuorum:
		return "quorum"
	case ShareAny:
		return "any"
	case ShareLocal:
		return "local"
	case ShareAggregate:
		return "aggregate"
	default:
		return "unknown"
	}
}

// CircuitBreaker stops calls to a dependency that fails, and lets a few probes
// through to learn when it is well again.
//
// Each replica runs a complete breaker over its own calls. Above it stands the
// fleet's, which opens by votes (see [Sharing]); a call passes only if both let
// it. It is closed until FailureThreshold calls failed in a row, or, where
// FailureRatio or SlowRatio is set, until Window holds at least MinCalls calls of
// which that share failed, or were slow. It is then open for RecoveryTimeout, then half-open, when at
// most Probes probe leases are out in the whole fleet. SuccessThreshold
// successes close it; failed probes open it again, for longer.
//
// The states follow Michael Nygard, "Release It!", 2007.
type CircuitBreaker struct {
	// Name identifies the breaker in the fleet, whatever its numbers: 1 to 64
	// ASCII letters, digits, '.', '_' or '-'. Defaults to the guard's name.
	Name string
	// Keyed gives each key (shard, cell, zone, host) a breaker of its own. The key
	// comes with the call; a missing one is ErrKeyMissing, never one breaker for all.
	Keyed bool
	// MaxKeys is how many keys have a breaker at once in this process, if Keyed. Where
	// all are in use, calls of further keys run without one, which an event tells.
	// At most [MaxLocalKeys], and [MaxSharedKeys] unless Sharing is ShareLocal, since
	// each shared key is background load for the store. A key longer than 512 bytes
	// counts as several. Defaults to 1,000, or 100 shared.
	MaxKeys int
	// MaxOpenShare is which share of the keys called lately may be open at once in this
	// process, if Keyed, in (0, 1], read to the thousandth and rounded down to whole
	// keys, but at least one. Where more are, the trouble is a common one that the
	// breakers of single keys cannot answer: open ones then let Probes calls at a time
	// through instead of none, and an event tells so. Defaults to 1, which is off.
	MaxOpenShare float64
	// FailureThreshold trips after so many failures in a row, counted by each
	// replica alone. Defaults to 5, and to off where FailureRatio is set.
	FailureThreshold int
	// FailureRatio trips when at least this share of the calls in Window
	// failed, in (0, 1]. Exactly the ratio counts as reached; it is read to the
	// thousandth. Defaults to off.
	FailureRatio float64
	// SlowAfter is how long a call may take before it is slow, from Acquire to
	// Report, whatever its outcome: what waits inside the breaker counts. A probe
	// that is slow has failed. Defaults to off; needs SlowRatio.
	SlowAfter time.Duration
	// SlowRatio trips when at least this share of the calls in Window were slow, in
	// (0, 1], as FailureRatio does; a call that was slow and failed counts for both.
	// Defaults to off; needs SlowAfter.
	SlowRatio float64
	// MinCalls is how many calls Window must hold before the ratios count,
	// and how many give a replica's opinion its full weight. Defaults to 20.
	MinCalls int
	// Window is how far back outcomes count. Defaults to 10 s.
	Window time.Duration
	// CountWindow makes the ratios of each replica's own layer those of its last so
	// many calls, however long ago, at most 10,000; what it tells the fleet is of
	// Window all the same. Must not be below MinCalls. Defaults to off.
	CountWindow int
	// RecoveryTimeout is how long it stays open before the first probe; each
	// reopening doubles it. Where nothing is shared it is up to a tenth longer, by
	// chance each time, so that replicas do not all probe at once; and where the
	// dependency asked to be left alone for longer ([MarkRetryAfter]), it is as long
	// as that. Defaults to 30 s.
	RecoveryTimeout time.Duration
	// MaxRecoveryTimeout bounds that growth, and what the dependency asks for. Defaults to 5 min, or
	// RecoveryTimeout if that is longer.
	MaxRecoveryTimeout time.Duration
	// SuccessThreshold is how many successful probes close it. Defaults to 2.
	SuccessThreshold int
	// Probes is how many probe leases may be out at once in the whole fleet,
	// at most 100. Defaults to 1.
	Probes int
	// ProbeLease is how long a probe may take; after that its lease is void
	// and it counts as failed. Defaults to 10 s.
	ProbeLease time.Duration
	// MaxHalfOpen ends a half-open state that its probes do not decide: it is
	// open again then, if any of them ended. Longer than ProbeLease, it outlasts
	// a replica that was killed with its probe. Defaults to RecoveryTimeout.
	MaxHalfOpen time.Duration
	// Ramp is how long admission rises after the fleet's layer closed: to 5, 25 and 50 % of
	// the calls a second that the fleet made when it opened, for a third of that time
	// each, but no less than Probes a second. It is one bucket for the whole fleet.
	// If Keyed, each key has a ramp of its own. Needs a store with buckets, and a Sharing
	// other than ShareLocal. Defaults to none: all calls pass at once.
	Ramp time.Duration
	// Sharing says whose opinions open the fleet. Defaults to ShareQuorum, and to
	// ShareLocal if Keyed.
	Sharing Sharing
	// MinReplicas is how many replicas must be bad to open the fleet under
	// ShareQuorum, at least 2. A fleet of one opens only its local layer; in a
	// fleet of two both must be bad. Defaults to 2.
	MinReplicas int
	// Quorum is the share of all weight that bad replicas must have, in (0, 1],
	// read to the thousandth. Defaults to 0.5.
	Quorum float64
	// Version orders changes of the numbers during a rolling deploy, as in
	// [RateLimit]. Must not be negative. Defaults to the build's version.
	Version int64
}

const (
	maxProbes      = 100
	maxCalls       = 1 << 31
	maxCountWindow = 10_000
	longestBreaker = 7 * 24 * time.Hour
)

// Validate reports the first field out of range: see the fields. Durations are
// at most 7 days and whole microseconds.
func (c CircuitBreaker) Validate() error {
	if err := optionalName(kindBreaker, c.Name); err != nil {
		return err
	}
	if err := c.validateCounts(); err != nil {
		return err
	}
	if err := c.validateRatios(); err != nil {
		return err
	}
	if err := c.validateKeys(); err != nil {
		return err
	}
	return c.validateDurations()
}

func (c CircuitBreaker) validateCounts() error {
	counts := []struct {
		field string
		n, hi int
	}{
		{"FailureThreshold", c.FailureThreshold, maxCalls},
		{"MinCalls", c.MinCalls, maxCalls},
		{"CountWindow", c.CountWindow, maxCountWindow},
		{"SuccessThreshold", c.SuccessThreshold, maxCalls},
		{"Probes", c.Probes, maxProbes},
		{"MinReplicas", c.MinReplicas, maxCalls},
	}
	for _, x := range counts {
		if x.n < 0 {
			return invalid(kindBreaker, x.field, "is negative")
		}
		if x.n > x.hi {
			return invalid(kindBreaker, x.field, "is too large")
		}
	}
	switch {
	case c.MinReplicas == 1:
		return invalid(kindBreaker, "MinReplicas", "must be at least 2; ShareAny lets one replica open the fleet")
	case c.Version < 0 || c.Version > MaxVersion:
		return invalid(kindBreaker, "Version", "must be between 0 and 2^53-1")
	case c.Sharing > ShareAggregate:
		return invalid(kindBreaker, "Sharing", "is unknown")
	case c.CountWindow > 0 && c.CountWindow < or(c.MinCalls, DefaultMinCalls):
		return invalid(kindBreaker, "CountWindow", "is below MinCalls: the ratios would never count")
	}
	return nil
}

func (c CircuitBreaker) validateRatios() error {
	// Written so that NaN, which compares false with everything, is refused.
	if c.FailureRatio != 0 && !(c.FailureRatio >= 0.001 && c.FailureRatio <= 1) {
		return invalid(kindBreaker, "FailureRatio", "must be between 0.001 and 1")
	}
	if c.SlowRatio != 0 && !(c.SlowRatio >= 0.001 && c.SlowRatio <= 1) {
		return invalid(kindBreaker, "SlowRatio", "must be between 0.001 and 1")
	}
	if c.SlowAfter > 0 && c.SlowRatio == 0 {
		return invalid(kindBreaker, "SlowRatio", "is missing: SlowAfter alone trips nothing")
	}
	if c.SlowRatio > 0 && c.SlowAfter == 0 {
		return invalid(kindBreaker, "SlowAfter", "is missing: it says which calls SlowRatio is about")
	}
	if c.Quorum != 0 && !(c.Quorum >= 0.001 && c.Quorum <= 1) {
		return invalid(kindBreaker, "Quorum", "must be between 0.001 and 1")
	}
	return nil
}

func (c CircuitBreaker) validateDurations() error {
	durations := []struct {
		field string
		d     time.Duration
	}{
		{"SlowAfter", c.SlowAfter},
		{"Window", c.Window},
		{"RecoveryTimeout", c.RecoveryTimeout},
		{"MaxRecoveryTimeout", c.MaxRecoveryTimeout},
		{"ProbeLease", c.ProbeLease},
		{"MaxHalfOpen", c.MaxHalfOpen},
		{"Ramp", c.Ramp},
	}
	for _, x := range durations {
		switch {
		case x.d < 0:
			return invalid(kindBreaker, x.field, "is negative")
		case x.d > longestBreaker:
			return invalid(kindBreaker, x.field, "is longer than 7 days")
		case x.d%time.Microsecond != 0:
			return invalid(kindBreaker, x.field, "must be whole microseconds")
		case x.d != 0 && x.d < time.Millisecond:
			return invalid(kindBreaker, x.field, "is below a millisecond")
		}
	}
	if c.Ramp > 0 && c.withKeyDefaults().Sharing == ShareLocal {
		return invalid(kindBreaker, "Ramp", "is the fleet's: it needs a Sharing other than ShareLocal")
	}
	if d := c.WithDefaults(); d.MaxRecoveryTimeout < d.RecoveryTimeout {
		return invalid(kindBreaker, "MaxRecoveryTimeout", "is below RecoveryTimeout")
	}
	return nil
}

// WithDefaults returns c with each zero field replaced by its default.
// FailureThreshold stays 0, which is off, where FailureRatio is set; MaxKeys and
// MaxOpenShare stay 0 unless it is Keyed.
func (c CircuitBreaker) WithDefaults() CircuitBreaker {
	if c.FailureThreshold == 0 && c.FailureRatio == 0 {
		c.FailureThreshold = DefaultFailureThreshold
	}
	c.MinCalls = or(c.MinCalls, DefaultMinCalls)
	c.Window = or(c.Window, DefaultWindow)
	c.RecoveryTimeout = or(c.RecoveryTimeout, DefaultRecoveryTimeout)
	c.MaxRecoveryTimeout = or(c.MaxRecoveryTimeout, max(DefaultMaxRecoveryTimeout, c.RecoveryTimeout))
	c.SuccessThreshold = or(c.SuccessThreshold, DefaultSuccessThreshold)
	c.Probes = or(c.Probes, DefaultProbes)
	c.ProbeLease = or(c.ProbeLease, DefaultProbeLease)
	c.MaxHalfOpen = or(c.MaxHalfOpen, c.RecoveryTimeout)
	c.MinReplicas = or(c.MinReplicas, DefaultMinReplicas)
	c.Quorum = or(c.Quorum, DefaultQuorum)
	return c.withKeyDefaults()
}

// or is value, or fallback where value is zero.
func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// String gives the text form, such as "circuit_breaker(name=payments)".
func (c CircuitBreaker) String() string {
	f := form{kind: kindBreaker}
	f.text("name", c.Name)
	f.flag("keyed", c.Keyed)
	f.int("max_keys", int64(c.MaxKeys))
	f.float("max_open_share", c.MaxOpenShare)
	f.int("failure_threshold", int64(c.FailureThreshold))
	f.float("failure_ratio", c.FailureRatio)
	f.duration("slow_after", c.SlowAfter)
	f.float("slow_ratio", c.SlowRatio)
	f.int("min_calls", int64(c.MinCalls))
	f.duration("window", c.Window)
	f.int("count_window", int64(c.CountWindow))
	f.duration("recovery_timeout", c.RecoveryTimeout)
	f.duration("max_recovery_timeout", c.MaxRecoveryTimeout)
	f.int("success_threshold", int64(c.SuccessThreshold))
	f.int("probes", int64(c.Probes))
	f.duration("probe_lease", c.ProbeLease)
	f.duration("max_half_open", c.MaxHalfOpen)
	f.duration("ramp", c.Ramp)
	if c.Sharing != ShareDefault {
		f.text("sharing", c.Sharing.String())
	}
	f.int("min_replicas", int64(c.MinReplicas))
	f.float("quorum", c.Quorum)
	f.int("version", c.Version)
	return f.String()
}

func (CircuitBreaker) policy() {}

const kindBreaker = "circuit_breaker"

// A State is that of a breaker.
type State uint8

// The states of a breaker. The zero value is StateClosed. The numbers are part
// of the protocol between replicas.
const (
	StateClosed   State = iota // calls pass
	StateHalfOpen              // only probes pass
	StateOpen                  // no call passes
)

// String returns "closed", "half-open" or "open".
func (s State) String() string {
	switch s {
	case StateClosed:
		return "closed"
	case StateHalfOpen:
		return "half-open"
	case StateOpen:
		return "open"
	default:
		return "unknown"
	}
}

// A Scope says whose breaker it is that changed or refused.
type Scope uint8

// The scopes. The zero value is ScopeReplica. The numbers are part of the
// protocol between replicas.
const (
	ScopeReplica  Scope = iota // this replica's own layer
	ScopeFleet                 // the layer that all replicas share
	ScopeOperator              // an order given by a person
)

// String returns "replica", "fleet" or "operator".
func (s Scope) String() string {
	switch s {
	case ScopeReplica:
		return "replica"
	case ScopeFleet:
		return "fleet"
	case ScopeOperator:
		return "operator"
	default:
		return "unknown"
	}
}
