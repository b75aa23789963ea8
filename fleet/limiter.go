package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet/internal/lease"
)

// A Limiter admits calls while the limit that the whole fleet shares has tokens.
//
// Callers that ask at the same time share one store call, and are decided in
// the order in which they came. A denial is remembered until asking again is
// useful, 1 s at most, and answered from memory. Of a policy with Lease, this
// replica takes tokens ahead and spends them without asking. While the store is
// out of reach, the policy's Outage decides.
//
// It is safe for concurrent use.
type Limiter struct {
	replica  *Replica
	settings atomic.Pointer[settings]
	binder   port.Binder  // nil: ask by flights
	foreign  atomic.Int64 // when the fleet last decided by other numbers than ours; 0 = not since they are ours
	misfit   atomic.Int64 // when LimitFor last gave numbers that cannot be meant; 0 = never
	own      bool         // it is the library's: no LimitFor is asked about it
	quiet    bool         // its numbers are meant to change from one replica to the next: that is no event
	passing  bool         // it goes while the replica stays: nothing that stays may hold on to it

	only  *lane // of a limit that is not keyed
	lanes lanes // of one that is
}

// settings are what a policy comes to. They are replaced as a whole.
type settings struct {
	policy domain.RateLimit
	rule   bucket.Rule
	burst  int64 // of the rule
	tiers  tiers
}

// manner is what the store is told beside the rule.
func (s *settings) manner() bucket.Manner {
	return bucket.Manner{Carry: s.policy.Carry, First: s.policy.FirstFill}
}

// reserved begins the names of limits that are this library's own.
const reserved = "holdfast."

func newLimiter(r *Replica, p domain.RateLimit) (*Limiter, error) {
	if err := domain.ValidateName("rate_limit", p.Name); err != nil {
		return nil, err
	}
	if strings.HasPrefix(p.Name, reserved) {
		return nil, &domain.PolicyError{Policy: "rate_limit", Field: "Name", Reason: "must not begin with " + reserved}
	}
	return makeLimiter(r, p)
}

// makeLimiter makes a limiter of any name.
func makeLimiter(r *Replica, p domain.RateLimit) (*Limiter, error) {
	if r.stores.Buckets == nil {
		return nil, &domain.PolicyError{Policy: "rate_limit", Field: "Name", Reason: "needs a store with buckets"}
	}
	if _, lends := r.bare.Buckets.(port.Leaser); p.Lease && !lends {
		return nil, &domain.PolicyError{Policy: "rate_limit", Field: "Lease", Reason: "needs a store that lends"}
	}
	if _, queues := r.bare.Buckets.(port.Queuer); p.MaxWait > 0 && !queues {
		return nil, &domain.PolicyError{Policy: "rate_limit", Field: "MaxWait", Reason: "needs a store with queues"}
	}
	l := &Limiter{replica: r}
	l.binder, _ = r.bare.Buckets.(port.Binder)
	set, err := l.compile(p)
	if err != nil {
		return nil, err
	}
	l.settings.Store(set)
	l.lanes.init()
	return l, nil
}

func (l *Limiter) compile(p domain.RateLimit) (*settings, error) {
	p = l.resolve(p)
	rule, err := bucket.Compile(p)
	if err != nil {
		return nil, err
	}
	return &settings{policy: p, rule: rule, burst: rule.Burst()}, nil
}

// resolve fills in the policy's defaults.
func (l *Limiter) resolve(p domain.RateLimit) domain.RateLimit {
	if p.Version == 0 {
		p.Version = l.replica.config.Build
	}
	return p.WithDefaults()
}

// Policy returns the policy in force here, with its defaults filled in.
func (l *Limiter) Policy() domain.RateLimit { return l.settings.Load().policy }

// Update changes the limit's numbers from the next call on. Tokens are carried
// over in proportion; what the fleet decides by follows from the versions (see
// [domain.RateLimit]). An invalid policy, or one of another name or kind of
// key, is refused and changes nothing.
func (l *Limiter) Update(p domain.RateLimit) error {
	old := l.Policy()
	if p.Name != old.Name || p.Keyed != old.Keyed {
		return &domain.PolicyError{Policy: "rate_limit", Field: "Name", Reason: "and Keyed cannot change: they say which buckets there are"}
	}
	if p.Lease != old.Lease {
		return &domain.PolicyError{Policy: "rate_limit", Field: "Lease", Reason: "cannot change while running"}
	}
	set, err := l.compile(p)
	if err != nil {
		return err
	}
	l.settings.Store(set)
	l.foreign.Store(0)
	return nil
}

// Allow is shorthand for AllowN with a cost of 1.
func (l *Limiter) Allow(ctx context.Context, key string) (d domain.Decision, err error) {
	err = l.ask(ctx, key, whole(1), nil, &d)
	if !d.Allowed {
		err = l.shadowed(ctx, &d, err)
	}
	return d, err
}

// AllowN asks for one call that takes cost tokens, all or none. A refusal is a
// Decision; an error means misuse, or that nothing could decide:
//
//   - the cause of ctx, if it is done: no token is taken;
//   - [domain.ErrKeyMissing] for a keyed limit and an empty key, while key is
//     not looked at by one that is not keyed;
//   - [domain.ErrCostTooHigh] for a cost above the burst, which no wait helps,
//     and an error for a negative one;
//   - a [*domain.StoreError] while the store is out of reach and the policy's
//     Outage does not decide;
//   - [domain.ErrClosed] after the replica was closed.
//
// A limit in Shadow refuses nothing: of these it gives the first, the last, and
// that of a negative cost.
//
// A caller waits in its own time. One that asks alone makes the store call
// itself, which is fastest: it then comes back when that ends, within
// StoreTimeout, also when ctx ends meanwhile.
//
// A cost of 0 is Peek.
func (l *Limiter) AllowN(ctx context.Context, key string, cost int64) (d domain.Decision, err error) {
	err = l.ask(ctx, key, whole(cost), nil, &d)
	if !d.Allowed {
		err = l.shadowed(ctx, &d, err)
	}
	return d, err
}

// AllowUpTo takes as many tokens as there are, at most so many, and charges those
// it grants: see Decision.Granted. It is allowed when that is one or more. Below 1
// most is misuse; above the burst it is as good as that. Errors are as for AllowN.
func (l *Limiter) AllowUpTo(ctx context.Context, key string, most int64) (d domain.Decision, err error) {
	err = l.ask(ctx, key, demand{cost: 1, times: most}, nil, &d)
	if !d.Allowed {
		err = l.shadowed(ctx, &d, err)
	}
	return d, err
}

// Peek says what AllowN would, for a cost of 1, and takes and writes nothing.
// It is never answered from the memory of a denial, and the same of a limit in
// Shadow. Where tokens were taken ahead, it tells of those.
func (l *Limiter) Peek(ctx context.Context, key string) (d domain.Decision, err error) {
	err = l.ask(ctx, key, whole(0), nil, &d)
	return d, err
}

// AllowWithin is AllowN within what is left of b, which may be nil for all of
// StoreTimeout; what it spends is taken from b.
func (l *Limiter) AllowWithin(ctx context.Context, key string, cost int64, b *Budget) (d domain.Decision, err error) {
	err = l.ask(ctx, key, whole(cost), b, &d)
	if !d.Allowed {
		err = l.shadowed(ctx, &d, err)
	}
	return d, err
}

// ask decides into d: a Decision that is handed up is copied at each step, which
// takes as long as deciding it.
func (l *Limiter) ask(ctx context.Context, key string, q demand, b *Budget, d *domain.Decision) error {
	// Callers wait below by the hundred, each on a stack that is cold when it
	// wakes: the fewer frames there are up to there, the sooner it is back.
	set, ln, err := l.enter(ctx, key, &q)
	switch {
	case err != nil:
		return err
	case l.binder != nil:
		return l.inProcess(ln, set, q, d)
	}
	if ln.lease != nil && ln.spend(q, d) || ln.remembered(set, q.cost, d) {
		return nil
	}
	left := b.left(l.replica.config.StoreTimeout)
	if left <= 0 || !ln.shard.health.Up() {
		*d, err = l.unasked(ln, set, q, left)
		return err
	}
	var asked time.Duration
	if b != nil {
		asked = l.replica.clock.now()
	}
	reply, place, err := ln.flight.Do(ctx, q, left)
	if b != nil {
		b.spend(l.replica.clock.now() - asked)
	}
	if err != nil {
		*d, err = l.unanswered(ctx, ln, set, q, err)
		return err
	}
	return l.decide(set, q, &reply, place, d)
}

// enter refuses what makes no sense, and finds what a call needs. It cuts a
// demand down to what a bucket can hold.
func (l *Limiter) enter(ctx context.Context, key string, q *demand) (*settings, *lane, error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if l.replica.closed.Load() {
		return nil, nil, domain.ErrClosed
	}
	set := l.settings.Load()
	if set.policy.Keyed && key == "" {
		return nil, nil, fmt.Errorf("%w: limit %q", domain.ErrKeyMissing, set.policy.Name)
	}
	ln := l.lane(set, key)
	set = ln.settings(set)
	if err := set.check(*q); err != nil {
		return nil, nil, err
	}
	q.times = min(q.times, set.burst)
	l.replica.begin()
	return set, ln, nil
}

// inProcess asks a store that answers at once.
func (l *Limiter) inProcess(ln *lane, set *settings, q demand, d *domain.Decision) (err error) {
	reply := l.bound(ln, set).Take(bucket.Ask{Cost: q.cost, Count: q.times})
	if reply.Err != nil {
		*d, err = l.outage(ln, set, q, reply.Err)
		return err
	}
	return l.decide(set, q, &reply, 0, d)
}

// unasked decides a call for which the store is not asked: it is down, or the
// call has no time left for it.
func (l *Limiter) unasked(ln *lane, set *settings, q demand, left time.Duration) (domain.Decision, error) {
	if left <= 0 {
		return l.outage(ln, set, q, errNoTime)
	}
	ln.shard.try(ln.touch)
	return l.outage(ln, set, q, ln.shard.trouble.Load())
}

var errNoTime = errors.New("the call has waited for stores long enough")

// unanswered decides a call that the store did not answer.
func (l *Limiter) unanswered(ctx context.Context, ln *lane, set *settings, q demand, err error) (domain.Decision, error) {
	switch {
	case l.replica.closed.Load():
		return domain.Decision{}, domain.ErrClosed
	case ctx.Err() != nil:
		return domain.Decision{}, context.Cause(ctx)
	default:
		return l.outage(ln, set, q, err)
	}
}

// check refuses misuse.
func (s *settings) check(q demand) error {
	switch {
	case q.cost < 0:
		return fmt.Errorf("limit %q: %w: %d", s.policy.Name, errNegativeCost, q.cost)
	case q.times < 1:
		return fmt.Errorf("limit %q: %w: %d", s.policy.Name, errUpToNothing, q.times)
	case q.cost > s.burst:
		return s.tooHigh(q.cost)
	}
	return nil
}

var (
	errNegativeCost = errors.New("negative cost")
	errUpToNothing  = errors.New("at most less than one token is asked for")
)

func (s *settings) tooHigh(cost int64) error {
	return fmt.Errorf("%w: limit %q, cost %d", domain.ErrCostTooHigh, s.policy.Name, cost)
}

// decide turns a store's reply into the decision on one of those that it is for,
// which stand in line: the first ones are granted.
func (l *Limiter) decide(set *settings, q demand, r *port.TakeReply, place int, d *domain.Decision) error {
	if r.Foreign {
		l.noteForeign(set)
	}
	if r.TooHigh {
		return set.tooHigh(q.cost)
	}
	own, behind := q.share(r, place)
	d.Granted = own * q.cost
	d.Remaining = r.Remaining + behind*q.cost // what was left before they took theirs
	d.Allowed = own > 0
	if q.cost == 0 {
		d.Allowed = r.RetryAfter == 0
	}
	if !d.Allowed {
		d.RetryAfter, d.Band = r.RetryAfter, r.Band
	}
	return nil
}

// noteForeign tells that the fleet decides by other numbers: once, until that
// was not so for a while. (Bucket by bucket, and moment by moment, it changes: a
// bucket that is full takes the numbers of whoever comes next.)
func (l *Limiter) noteForeign(set *settings) {
	if l.quiet || !l.replica.firstSeen(&l.foreign) {
		return
	}
	l.replica.emit(domain.Event{
		Kind: domain.EventSettings, Name: set.policy.Name, Scope: domain.ScopeFleet,
		Reason: "another replica's numbers for this limit are in force",
	})
}

// bound returns the bucket of a store in this process.
func (l *Limiter) bound(ln *lane, set *settings) port.BoundBucket {
	if b := ln.bound.Load(); b != nil && b.set == set {
		return b.bucket
	}
	b := &boundBucket{set, l.binder.Bind(ln.id, set.rule, set.manner())}
	ln.bound.Store(b)
	return b.bucket
}

type boundBucket struct {
	set    *settings
	bucket port.BoundBucket
}

// lane finds or makes what this replica keeps for one bucket.
func (l *Limiter) lane(set *settings, key string) *lane {
	if set.policy.Keyed {
		return l.lanes.get(key, l, set.policy.Name)
	}
	l.lanes.once.Do(func() { l.only = l.newLane(port.ID{Name: set.policy.Name}) })
	return l.only
}

func (l *Limiter) newLane(id port.ID) *lane {
	ln := &lane{limiter: l, id: id, shard: l.replica.shardOf(l.replica.bare.Buckets, id)}
	ln.flight.Init(ln.shard.flights, ln)
	if l.lends() {
		ln.lease = lease.New(l.replica.holderNumber())
	}
	if !l.passing {
		ln.shard.tryWith(ln.touch)
	}
	return ln
}

// The bounds of what a keyed limit keeps in this replica.
const (
	lanesMin  = 1024    // from so many lanes on, idle ones are looked for
	lanesMax  = 1 << 17 // so many are kept; further ones serve one call
	laneBytes = 512     // a key this long counts as one lane more
	lanesLook = 4       // lanes looked at for each new one: three of four may be in use
)

// lanes are the buckets of a keyed limit that this replica knows something of.
type lanes struct {
	once  sync.Once
	mu    sync.RWMutex
	byKey map[string]*lane // nil: the replica is closed
	size  int              // in lanes
}

func (l *lanes) init() { l.byKey = make(map[string]*lane) }

// laneSize is what a lane counts for.
func laneSize(key string) int { return 1 + len(key)/laneBytes }

func (l *lanes) get(key string, owner *Limiter, name string) *lane {
	l.mu.RLock()
	ln := l.byKey[key]
	l.mu.RUnlock()
	if ln != nil {
		return ln
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln := l.byKey[key]; ln != nil {
		return ln
	}
	size := laneSize(key)
	if l.size+size > lanesMin {
		l.sweep(lanesLook * size)
	}
	key = strings.Clone(key) // it may be part of something larger
	ln = owner.newLane(port.ID{Name: name, Key: key})
	if ln.stray = l.byKey == nil || l.size+size > lanesMax; !ln.stray {
		l.byKey[key] = ln
		l.size += size
	}
	return ln
}

// drop forgets all lanes, for good.
func (l *lanes) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byKey, l.size = nil, 0
}

// sweep looks at some lanes, wherever the map begins this time, and forgets
// those that remember nothing. It requires that l.mu is held.
func (l *lanes) sweep(looks int) {
	for key, ln := range l.byKey {
		if ln.idle() {
			delete(l.byKey, key)
			l.size -= laneSize(key)
		}
		if looks--; looks <= 0 {
			return
		}
	}
}
