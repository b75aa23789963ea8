package fleet_test

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
)

// unit is what a token is counted in: with it every rate of a simulation is
// whole for each µs.
const unit = 60_000_000

// An account is what one bucket granted since it began, on the store's clock. It
// holds each interval against the largest burst of its rules and what those
// earned in it, band by band: nothing is rounded, and nothing of the bucket's own
// is used.
type account struct {
	at      int64 // µs; behind a clock that stepped back
	rule    bucket.Rule
	ledgers [domain.MaxBands]ledger
	charged map[uint64]int // how often each bill was executed
}

// A ledger is an account's of one band.
type ledger struct {
	earned, spent int64 // units
	spans         []span
}

// A span is the time of one rule's band.
type span struct {
	band bucket.Band
	most int64 // earned - spent, at the beginning of the worst interval so far
	used bool
}

// accountSkew is as far as a bucket follows a clock that steps back: from then on
// it begins anew by the new time, and has earned nothing by that.
const accountSkew = 5_000_000

func (a *account) advance(micro int64) {
	if a.rule == (bucket.Rule{}) || a.at-micro > accountSkew {
		a.at = micro
		return
	}
	if micro > a.at {
		for i := range a.rule.Count() {
			band := a.rule.Bands[i]
			a.ledgers[i].earned += (micro - a.at) * (unit * band.Earn / band.Worth)
		}
		a.at = micro
	}
}

// adopt makes rule the one that decides. It has as many bands as the one before.
func (a *account) adopt(rule bucket.Rule) {
	if a.rule == rule {
		return
	}
	a.rule = rule
	for i := range rule.Count() {
		l := &a.ledgers[i]
		l.spans = append(l.spans, span{band: rule.Bands[i]})
	}
}

// grant books tokens, and returns by how many the worst interval that ends now
// is above what it may have.
func (a *account) grant(tokens int64) (over float64) {
	for i := range a.rule.Count() {
		over = max(over, a.ledgers[i].grant(tokens))
	}
	return over
}

// grant does so in one band: an interval may have what was earned, and the larger
// burst of the two rules when it holds one change. It is put together of such
// intervals when it holds more: what is in a bucket keeps its share of the burst,
// so that a limit which is lowered, and filled, and raised again has had two
// bursts.
func (l *ledger) grant(tokens int64) (over float64) {
	now := &l.spans[len(l.spans)-1]
	if saved := l.earned - l.spent; !now.used || saved > now.most {
		now.most, now.used = saved, true
	}
	l.spent += tokens * unit
	var bursts, pair, worst int64
	for back := range len(l.spans) {
		s := l.spans[len(l.spans)-1-back]
		if back%2 == 0 {
			bursts, pair = bursts+pair, 0
		}
		pair = max(pair, s.band.Burst()*unit)
		if s.used {
			worst = max(worst, l.spent-l.earned+s.most-bursts-pair)
		}
	}
	return float64(worst) / unit
}

// rate is tokens a second.
func rate(l domain.Limit) float64 { return float64(l.Tokens) / l.Period.Seconds() }

// almost is what sums of seconds may be wrong by.
const almost = 1e-6

// A shareMeter is the most that one replica may have of its share: it begins
// empty, and earns the limit divided by the members only while calls to the
// store fail.
type shareMeter struct {
	policy domain.RateLimit
	tokens float64
	at     time.Duration
}

// shareOf is a replica's part of a limit: what it saves up, and earns a second.
func shareOf(p domain.RateLimit, members int) (most, earns float64) {
	return float64(max(p.Limit.Burst/int64(members), 1)), rate(p.Limit) / float64(members)
}

// follow takes another policy over. A replica prices what was earned since its
// share was last asked, which is not known here, by the new one: the time since
// this meter was settled counts by both.
func (m *shareMeter) follow(w *wire, p domain.RateLimit, now time.Duration) {
	if m.policy == p {
		return
	}
	at := m.at
	m.settle(w, m.policy, now)
	m.at = at
	m.settle(w, p, now)
	m.policy = p
}

// settle earns up to now, by p.
func (m *shareMeter) settle(w *wire, p domain.RateLimit, now time.Duration) {
	since, members := w.down(), w.replicas()
	if members > 0 && p.Limit.Tokens > 0 {
		most, earns := shareOf(p, members)
		if since > 0 {
			earned := earns * max(now-max(since, m.at), 0).Seconds()
			m.tokens = max(m.tokens, min(m.tokens+earned, most)) // what was saved before is kept
		}
	}
	m.at = now
}

// take returns how many tokens the share was short of.
func (m *shareMeter) take(w *wire, p domain.RateLimit, cost int64, now time.Duration) (short float64) {
	m.settle(w, p, now)
	members := w.replicas()
	if members == 0 {
		return float64(cost) // nobody knows what a share is
	}
	most, _ := shareOf(p, members)
	short = min(float64(cost), most) - m.tokens
	m.tokens -= float64(cost)
	if short < almost {
		return 0
	}
	return short
}

// A fleetMeter is rule L1 with its D, as callers see it, for a limit that is
// shared out: burst + rate·(t + D), what the shares of those cut off earn
// (+ rate·t·k/N), and what shares they saved up. By flushes and steps of the
// store's clock it is full again.
type fleetMeter struct {
	id     string
	tokens float64
	most   float64
	at     time.Duration
	earns  float64
}

func newFleetMeter(s *simulation, p domain.RateLimit) *fleetMeter {
	m := &fleetMeter{id: p.Name, at: s.since()}
	m.grow(s)
	m.tokens = m.most
	return m
}

// grow follows the largest version of the limit, and the replicas that save.
func (m *fleetMeter) grow(s *simulation) {
	most := 0.0
	for _, p := range s.limit(m.id).versions() {
		m.earns = max(m.earns, rate(p.Limit)*(1+2*float64(max(s.clock.ppm, -s.clock.ppm))/1e6))
		saved := 0.0
		for _, w := range s.everyWire() {
			if members := w.replicas(); members > 0 {
				share, _ := shareOf(p, members)
				saved += max(share, float64(s.limit(m.id).dearest))
			}
		}
		most = max(most, float64(p.Limit.Burst)+m.earns*storeTimeout.Seconds()+saved)
	}
	if most > m.most { // the burst of a new version, or the share of a new replica
		m.tokens += most - m.most
		m.most = most
	}
}

func (m *fleetMeter) settle(s *simulation) {
	now := s.since()
	earns := m.earns
	for _, w := range s.everyWire() {
		since, members := w.down(), w.replicas()
		if since > 0 && members > 0 {
			earns += m.earns / float64(members)
		}
	}
	m.tokens += earns * (now - m.at).Seconds()
	m.at = now
	m.grow(s)
	m.tokens = min(m.tokens, m.most)
}

// take returns by how many tokens the fleet is above its envelope.
func (m *fleetMeter) take(s *simulation, cost int64) (over float64) {
	m.settle(s)
	if m.tokens -= float64(cost); m.tokens < -almost {
		return -m.tokens
	}
	return 0
}
