package demo

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// part is the name of the one guard, with its breaker and its limit.
const part = "downstream"

// The numbers of the load: each replica has so many callers, and together the
// fleet wants so many times its limit.
const (
	callers    = 16
	overload   = 6
	retryPause = 20 * time.Millisecond
)

// callTimeout bounds a whole call, its retries included. It is so much longer
// than a probe's lease and than the time in which retries begin (retriesEnd)
// that a call's own deadline tells a probe from any other call; see isProbe.
const (
	callTimeout  = 5 * time.Second
	retriesEnd   = time.Second
	longestLease = 1500 * time.Millisecond
)

// A scene is what all replicas are told about the fleet and its load.
type scene struct {
	Rate     int64          `json:"rate"`
	Burst    int64          `json:"burst"`
	Recovery time.Duration  `json:"recovery"`
	Window   time.Duration  `json:"window"`
	Lease    bool           `json:"lease"`
	Sharing  domain.Sharing `json:"sharing"`
	Ramp     time.Duration  `json:"ramp"`
	Pause    time.Duration  `json:"pause"` // of a caller, between two calls
}

func (o Options) scene() scene {
	s := scene{
		Rate: o.Rate, Burst: o.Burst, Lease: o.Lease, Sharing: o.sabotage.sharing,
		Recovery: min(o.beat(), longestLease), Window: 4 * o.beat(),
		Pause: (time.Duration(callers*o.Replicas) * time.Second / time.Duration(overload*o.Rate)).Truncate(time.Microsecond),
	}
	if o.sabotage.unlimited {
		s.Rate *= 10
	}
	if !o.sabotage.steep {
		s.Ramp = rampBeats * o.beat()
	}
	return s
}

// sceneOf is the scene as one replica is told it.
func (o Options) sceneOf(replica int) scene {
	s := o.scene()
	if replica == o.sabotage.loner {
		s.Sharing = domain.ShareLocal
	}
	return s
}

// breaker trips after a few failures in a row at two replicas or more. It stays
// open no longer each time, so that the story keeps its time, and half-open may
// outlast the lease of a prober that was killed. The calls come back in steps.
func (s scene) breaker() domain.CircuitBreaker {
	b := domain.CircuitBreaker{
		Name:               part,
		FailureThreshold:   5,
		Window:             s.Window,
		RecoveryTimeout:    s.Recovery,
		MaxRecoveryTimeout: s.Recovery,
		ProbeLease:         s.Recovery,
		MaxHalfOpen:        10 * s.Recovery,
		Sharing:            s.Sharing,
	}
	if s.Sharing != domain.ShareLocal { // nobody to climb with
		b.Ramp = s.Ramp
	}
	return b
}

// limit admits nothing where the store does not decide, so that its bound has no
// exception.
func (s scene) limit() domain.RateLimit {
	return domain.RateLimit{
		Name:   part,
		Limit:  domain.PerSecond(s.Rate).WithBurst(s.Burst),
		Lease:  s.Lease,
		Outage: domain.OutageClosed,
	}
}

// policy is what every call of the demo goes through.
func (s scene) policy() domain.Policy {
	return domain.Combine(
		domain.Timeout{Duration: callTimeout},
		domain.Retry{MaxAttempts: 2, Backoff: domain.Fixed(retryPause), MaxElapsed: retriesEnd},
		s.breaker(),
		s.limit(),
	)
}
