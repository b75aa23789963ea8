package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// The limits that every simulation has beside those that it draws.
const (
	tracedName = "traced" // each call has a cost of its own, by which the store's calls are known
	soloName   = "solo"   // each replica has a key of its own, so that it is alone
)

// A simulatedLimit is one limit, through its versions.
type simulatedLimit struct {
	name    string
	keys    int   // 0: it is not keyed
	dearest int64 // cost

	mu  sync.Mutex
	all []domain.RateLimit // versions, in the order in which they were announced
}

func newSimulatedLimit(p domain.RateLimit, keys int, dearest int64) *simulatedLimit {
	p.Keyed = keys > 0
	return &simulatedLimit{name: p.Name, keys: keys, dearest: dearest, all: []domain.RateLimit{p.WithDefaults()}}
}

// drawLimits draws the limits of a simulation.
func drawLimits(rnd *rand.Rand) []*simulatedLimit {
	limits := []*simulatedLimit{
		newSimulatedLimit(domain.RateLimit{
			Name: tracedName, Limit: domain.PerSecond(1_000_000).WithBurst(10_000_000), Outage: domain.OutageClosed,
		}, 0, 1),
		newSimulatedLimit(domain.RateLimit{
			Name: soloName, Limit: domain.PerSecond(1 + rnd.Int64N(10)).WithBurst(2 + rnd.Int64N(3)), Outage: domain.OutageClosed,
		}, 1000, 2),
	}
	for i, outage := range []domain.Outage{domain.OutageClosed, domain.OutageLocalShare, domain.Outage(rnd.IntN(3))} {
		dearest := 1 + rnd.Int64N(8)
		p := domain.RateLimit{Name: fmt.Sprint("limit", i), Limit: drawLimit(rnd, dearest), Outage: outage}
		limits = append(limits, newSimulatedLimit(p, rnd.IntN(4), dearest))
	}
	p := domain.RateLimit{Name: bandedName, Outage: domain.OutageClosed}
	p.Limit, p.Also = drawBands(rnd, 4)
	return append(limits, newSimulatedLimit(p, rnd.IntN(4), 4))
}

// bandedName is a limit of two bands.
const bandedName = "banded"

// drawBands draws a fast band and one that is slower than every fast one.
func drawBands(rnd *rand.Rand, least int64) (domain.Limit, domain.Bands) {
	fast := domain.PerSecond([]int64{5, 20, 100}[rnd.IntN(3)]).WithBurst(least + rnd.Int64N(30))
	slow := domain.PerMinute([]int64{20, 60, 120}[rnd.IntN(3)]).WithBurst(fast.Burst + 1 + rnd.Int64N(60))
	return fast, domain.Bands{slow}
}

// drawLimit draws numbers of which each µs earns a whole part of a unit, and a
// burst that has room for a cost of least: what costs more is refused anyway.
func drawLimit(rnd *rand.Rand, least int64) domain.Limit {
	tokens := []int64{1, 5, 20, 100}[rnd.IntN(4)]
	period := []time.Duration{time.Second, time.Second, 5 * time.Second, time.Minute}[rnd.IntN(4)]
	return domain.Per(tokens, period).WithBurst(least + rnd.Int64N(30))
}

// versions are all that were announced.
func (l *simulatedLimit) versions() []domain.RateLimit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// leastBurst is the smallest of any version.
func (l *simulatedLimit) leastBurst() int64 {
	least := int64(1 << 60)
	for _, p := range l.versions() {
		least = min(least, p.Limit.Burst)
	}
	return least
}

// change announces other numbers, mostly as a new version; the replicas take
// them over one by one.
func (l *simulatedLimit) change(rnd *rand.Rand) domain.RateLimit {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.all[len(l.all)-1]
	if p.Name == bandedName {
		p.Limit, p.Also = drawBands(rnd, l.dearest)
	} else {
		p.Limit = drawLimit(rnd, l.dearest)
	}
	if !oneIn(rnd, 4) {
		p.Version++
	}
	l.all = append(l.all[:len(l.all):len(l.all)], p)
	return p
}

// now is the newest version.
func (l *simulatedLimit) now() domain.RateLimit {
	all := l.versions()
	return all[len(all)-1]
}

// limit finds a limit by its name.
func (s *simulation) limit(name string) *simulatedLimit {
	for _, l := range s.limits {
		if l.name == name {
			return l
		}
	}
	return nil
}

// A limitCall is one call of a limit.
type limitCall struct {
	limit int
	id    port.ID
	cost  int64
	leave time.Duration // after which its caller leaves; 0 = never
}

// draw draws the next call of a replica. Where a share may have to decide, one
// replica's calls all cost the same: of those that wait for one answer it is not
// the seed's choice which comes first.
func (s *simulation) draw(rnd *rand.Rand, r *simulated) limitCall {
	c := limitCall{limit: rnd.IntN(len(s.limits))}
	if c.limit == 1 {
		c.limit = 0 // the second is for those who are alone
	}
	l := s.limits[c.limit]
	c.id.Name = l.name
	if l.keys > 0 {
		c.id.Key = fmt.Sprint("key", rnd.IntN(l.keys))
	}
	c.cost = 1 + rnd.Int64N(l.dearest)
	if l.now().Outage == domain.OutageLocalShare {
		c.cost = 1 + int64(r.name)%l.dearest
	}
	if oneIn(rnd, 10) {
		c.leave = between(rnd, 1, 120*time.Millisecond)
	}
	if oneIn(rnd, 20) && l.name != tracedName {
		c.cost = 0
	}
	return c
}

// limitTraffic calls through one replica's limits until the end. When a call is
// made does not depend on what came of those before.
func (s *simulation) limitTraffic(r *simulated) {
	rnd := rand.New(rand.NewPCG(s.seed, uint64(1000+r.name)))
	for s.goOn(r, between(rnd, 20*time.Millisecond, 300*time.Millisecond)) {
		c := s.draw(rnd, r)
		crowd := 1
		if oneIn(rnd, 4) {
			crowd = 2 + rnd.IntN(6)
		}
		for range crowd {
			one := c
			if c.id.Name == tracedName {
				one.cost = s.traced.Add(1)
			}
			if !r.idle() {
				s.all.Go(func() { _, _ = s.allow(r, one) })
			}
			time.Sleep(between(rnd, 1, 2*time.Millisecond))
		}
	}
}

var errLeft = errors.New("its caller left")

// allow makes one call and checks what its caller is told.
func (s *simulation) allow(r *simulated, c limitCall) (domain.Decision, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if c.leave > 0 {
		timer := time.AfterFunc(c.leave, func() { cancel(errLeft) })
		defer timer.Stop()
	}
	limiter := r.limiters[c.limit]
	policy := limiter.Policy()
	s.bank.ask(r.wire, policy, c.id, c.cost)
	start := s.since()
	d, err := limiter.AllowN(ctx, c.id.Key, c.cost)
	if took := s.since() - start; took > storeTimeout {
		s.failf("replica %d, %s: a call took %v", r.name, c.id.Name, took)
	}
	if r.over() {
		return d, err
	}
	s.tellf("replica %d, %s %s, cost %d: told %+v, %s", r.name, c.id.Name, c.id.Key, c.cost, d, kindOf(err))
	s.count.limitCalls.Add(1)
	s.judge(r, policy, c, d, err)
	return d, err
}

// kindOf is an error in the story: of two reasons that come at one instant, the
// one which is told is no seed's choice.
func kindOf(err error) string {
	for _, kind := range []error{domain.ErrStoreUnavailable, errLeft} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return fmt.Sprint(err)
}

// judge checks one answer by itself.
func (s *simulation) judge(r *simulated, p domain.RateLimit, c limitCall, d domain.Decision, err error) {
	switch {
	case errors.Is(err, errLeft) && c.leave > 0:
		return
	case errors.Is(err, domain.ErrStoreUnavailable):
		if p.Outage == domain.OutageOpen || (p.Outage == domain.OutageLocalShare && r.wire.replicas() > 0) {
			s.failf("replica %d, %s: %v, but its policy decides", r.name, c.id.Name, err)
		}
		s.wantTrouble(r, c)
	case err != nil:
		s.failf("replica %d, %s: %v", r.name, c.id.Name, err)
	case d.Degraded:
		s.wantTrouble(r, c)
		if p.Outage == domain.OutageClosed {
			s.failf("replica %d, %s: %+v, but it is closed in an outage", r.name, c.id.Name, d)
		}
	}
	if err == nil && !d.Allowed && d.RetryAfter <= 0 {
		s.failf("replica %d, %s: denied for %v", r.name, c.id.Name, d.RetryAfter)
	}
	if err == nil && d.Allowed && c.cost > 0 {
		s.bank.told(r.wire, p, c.id, c.cost, d)
	}
}

// calmAfter is how long after the end of its wire's trouble a replica may still
// answer without the store.
const calmAfter = 2 * time.Second

// wantTrouble is about an answer that the store did not decide: it must have
// failed this replica lately.
func (s *simulation) wantTrouble(r *simulated, c limitCall) {
	if calm := r.wire.fineFor(); calm > calmAfter {
		s.failf("replica %d, %s: not the store's answer, after %v without trouble", r.name, c.id.Name, calm)
	}
}

// aloneTraffic is a caller of a bucket that nobody else knows: a denial says how
// long to wait, and who waits so long is let through.
func (s *simulation) aloneTraffic(r *simulated) {
	rnd := rand.New(rand.NewPCG(s.seed, uint64(2000+r.name)))
	for s.goOn(r, between(rnd, time.Second, 4*time.Second)) {
		if !r.idle() {
			s.alone(r, rnd)
		}
	}
}

// alone asks until it is denied, waits and asks again.
func (s *simulation) alone(r *simulated, rnd *rand.Rand) {
	c := limitCall{limit: 1, id: port.ID{Name: soloName, Key: fmt.Sprint("replica", r.name)}, cost: 1 + rnd.Int64N(2)}
	turmoil, behind := s.turmoil.Load(), s.clock.behind()
	for range 10 {
		d, err := s.allow(r, c)
		if err != nil || d.Degraded {
			return
		}
		if d.Allowed {
			time.Sleep(between(rnd, 1, time.Millisecond))
			continue
		}
		time.Sleep(s.clock.wait(d.RetryAfter))
		again, err := s.allow(r, c)
		if s.turmoil.Load() != turmoil || behind || r.wire.fineFor() == 0 || r.over() {
			return // it was not its own doing
		}
		if s.count.waited.Add(1); err != nil || !again.Allowed {
			s.failf("replica %d, alone: denied for %v, and then %+v, %v", r.name, d.RetryAfter, again, err)
		}
		return
	}
}
