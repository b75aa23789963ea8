package fleet_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A world is one shared store, the lines by which replicas reach it, and what
// the store itself saw: the truth, against which replicas are checked.
type world struct {
	tb testing.TB

	mu     sync.Mutex
	store  port.Stores
	empty  func() port.Stores     // loses all state; subscriptions may end by that
	lost   chan struct{}          // closed when the store loses its state
	states []domain.State         // of the breaker, as it went
	epochs []uint64               // as it went
	epoch  uint64                 // now
	grants []uint64               // tokens of leases, as they were given
	owner  map[uint64]string      // by token
	out    map[uint64]lease       // leases out
	most   int                    // leases out at once
	asks   map[string]int         // by incarnation
	asked  []time.Time            // when
	result map[domain.Outcome]int // results that counted: their lease was out
	voided int                    // results that did not
	now    func() time.Time       // the store's clock
	failf  func(format string, args ...any)

	flushed bool // and nothing began since

	onReport func(r port.Report, v port.View) // what was executed, under mu; nil: nobody looks
	onMove   func(v port.View)                // a new epoch, under mu; nil: nobody looks
}

// A lease of a probe, in µs of the store's clock.
type lease struct{ at, lasting int64 }

// newWorld is on the memory store.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	return makeWorld(tb, func() port.Stores { return memory.New(memory.Options{}).Stores() })
}

// inEachWorld runs a test in a bubble of its own on each store (case 59).
func inEachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
	})
	t.Run("miniredis", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stores, server := onMiniredis(t)
			test(t, makeWorld(t, func() port.Stores {
				server.FlushAll()
				return stores
			}))
		})
	})
}

func makeWorld(tb testing.TB, empty func() port.Stores) *world {
	tb.Helper()
	return &world{
		tb: tb, store: empty(), empty: empty, lost: make(chan struct{}),
		owner: make(map[uint64]string), out: make(map[uint64]lease), asks: make(map[string]int), result: make(map[domain.Outcome]int),
		now: time.Now, failf: tb.Errorf,
	}
}

// flush loses all state, as FLUSHALL does.
func (w *world) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store = w.empty()
	w.out = make(map[uint64]lease)
	w.flushed = true
	close(w.lost)
	w.lost = make(chan struct{})
}

// stores is the store as it is now.
func (w *world) stores() (s port.Stores, lost <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.store, w.lost
}

// view reads the truth.
func (w *world) view() port.View {
	s, _ := w.stores()
	out := [1]port.View{}
	s.Views.Read(context.Background(), []port.ID{{Name: breakerName}}, out[:])
	return out[0]
}

func (w *world) report(ctx context.Context, in []port.Report, out []port.View) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store.Breakers.Report(ctx, in, out)
	w.expire()
	for i := range in {
		w.saw(in[i].Breaker, out[i])
		if w.onReport != nil && out[i].Err == nil {
			w.onReport(in[i], out[i])
		}
	}
}

// expire forgets the leases that are over. A lease from the future is one that
// the clock stepped back behind: it begins anew. It requires that w.mu is held.
func (w *world) expire() {
	now := w.now().UnixMicro()
	for token, l := range w.out {
		l.at = min(l.at, now)
		w.out[token] = l
		if now-l.at >= l.lasting {
			delete(w.out, token)
		}
	}
}

func (w *world) probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store.Breakers.Probe(ctx, in, out)
	w.expire()
	for i, r := range in {
		_, isOut := w.out[r.Token] // before a transition voids it
		w.saw(r.Breaker, out[i].View)
		switch {
		case r.Breaker.Name != breakerName || out[i].View.Err != nil:
			continue
		case r.Settle && isOut:
			delete(w.out, r.Token)
			w.result[r.Outcome]++
			continue
		case r.Settle:
			w.voided++
			continue
		case out[i].Granted && !isOut:
			w.grants = append(w.grants, r.Token)
			w.owner[r.Token] = r.Replica
			w.out[r.Token] = lease{w.now().UnixMicro(), out[i].For.Microseconds()}
		}
		w.asks[r.Replica]++
		w.asked = append(w.asked, time.Now())
		w.most = max(w.most, len(w.out))
	}
}

// saw keeps the history. It requires that w.mu is held.
func (w *world) saw(id port.ID, v port.View) {
	if id.Name != breakerName || v.Err != nil || v.Epoch == 0 || v.Epoch == w.epoch {
		return
	}
	// What is first after a flush begins by the clock, which may have stepped back.
	byClock := w.flushed && uint64(w.now().UnixMicro()) < w.epoch
	if w.flushed = false; v.Epoch < w.epoch && !byClock {
		w.failf("the store's epoch fell from %d to %d", w.epoch, v.Epoch)
	}
	w.epoch = v.Epoch
	w.epochs, w.states = append(w.epochs, v.Epoch), append(w.states, v.State)
	w.out = make(map[uint64]lease)
	if w.onMove != nil {
		w.onMove(v)
	}
}

// history is how the store's state went.
func (w *world) history() []domain.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.states)
}

// leases is how many were given, and how many were out at once.
func (w *world) leases() (given, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.grants), w.most
}

// results is how many results of an outcome counted.
func (w *world) results(o domain.Outcome) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.result[o]
}

// A fault is what a line does with calls.
type fault uint8

const (
	healthy    fault = iota
	refusing         // fails at once
	hanging          // answers nothing; the call ends with its context
	losing           // the call is executed and its reply lost
	losingLate       // the same, and the caller learns so at its deadline
	straying         // the call arrives 30 ms later, whatever its caller does meanwhile
)

var errLine = errors.New("line: down")

// traffic is what a line carried.
type traffic struct{ reports, reads, asks, settles int }

func (c traffic) all() int { return c.reports + c.reads + c.asks + c.settles }

// A line is one replica's way to the store.
type line struct {
	world *world

	mu      sync.Mutex
	fault   fault
	delay   time.Duration
	back    time.Duration // how long an answer takes
	deaf    bool          // no push arrives
	carried traffic
	air     int // reports under way
	mostAir int
	sent    []port.Report
}

func (l *line) set(f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

func (l *line) setDeaf(deaf bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = deaf
}

func (l *line) setDelay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

func (l *line) setReplyDelay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back = d
}

// count is what was carried since the last count.
func (l *line) count() traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.carried
	l.carried = traffic{}
	return c
}

// pass carries one call: it says whether to execute it, and the error.
func (l *line) pass(ctx context.Context, note func(*traffic)) (execute bool, err error) {
	l.mu.Lock()
	note(&l.carried)
	f, delay := l.fault, l.delay
	l.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	switch f {
	case refusing:
		return false, errLine
	case hanging:
		<-ctx.Done()
		return false, context.Cause(ctx)
	case losing, losingLate:
		return true, errLine
	case straying:
		time.Sleep(30 * time.Millisecond)
	case healthy:
	}
	return true, nil
}

func (l *line) end(ctx context.Context) {
	l.mu.Lock()
	late, back := l.fault == losingLate, l.back
	l.mu.Unlock()
	if back > 0 {
		time.Sleep(back)
	}
	if late {
		<-ctx.Done()
	}
}

func (l *line) Report(ctx context.Context, in []port.Report, out []port.View) {
	l.mu.Lock()
	l.air++
	l.mostAir = max(l.mostAir, l.air)
	l.sent = append(l.sent, in...)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.air--
	}()
	execute, err := l.pass(ctx, func(c *traffic) { c.reports += len(in) })
	if execute {
		l.world.report(context.WithoutCancel(ctx), in, out) // what has arrived is executed
	}
	l.end(ctx)
	if err != nil {
		for i := range out {
			out[i] = port.View{Err: &domain.StoreError{Op: "report", Name: in[i].Breaker.Name, Err: err}}
		}
	}
}

func (l *line) Probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	execute, err := l.pass(ctx, func(c *traffic) {
		for _, r := range in {
			if r.Settle {
				c.settles++
			} else {
				c.asks++
			}
		}
	})
	if execute {
		l.world.probe(context.WithoutCancel(ctx), in, out)
	}
	l.end(ctx)
	if err != nil {
		for i := range out {
			out[i] = port.ProbeReply{View: port.View{Err: &domain.StoreError{Op: "probe", Name: in[i].Breaker.Name, Err: err}}}
		}
	}
}

func (l *line) Read(ctx context.Context, in []port.ID, out []port.View) {
	execute, err := l.pass(ctx, func(c *traffic) { c.reads += len(in) })
	if execute {
		s, _ := l.world.stores()
		s.Views.Read(ctx, in, out)
	}
	l.end(ctx)
	if err != nil {
		for i := range out {
			out[i] = port.View{Err: &domain.StoreError{Op: "read", Name: in[i].Name, Err: err}}
		}
	}
}

func (l *line) Watch(ctx context.Context, onView func(port.ID, port.View)) error {
	return l.world.watch(ctx, func(id port.ID, v port.View) {
		l.mu.Lock()
		through := !l.deaf && l.fault == healthy
		l.mu.Unlock()
		if through {
			onView(id, v)
		}
	})
}

// watch goes on over a flush.
func (w *world) watch(ctx context.Context, onView func(port.ID, port.View)) error {
	for ctx.Err() == nil {
		s, lost := w.stores()
		within, cancel := context.WithCancel(ctx)
		go func() {
			defer cancel()
			select {
			case <-lost:
			case <-within.Done():
			}
		}()
		_ = s.Views.Watch(within, onView)
		cancel()
	}
	return context.Cause(ctx)
}

// A node is one replica with its breaker.
type node struct {
	*fleet.Breaker
	tb      testing.TB
	replica *fleet.Replica
	line    *line

	mu     sync.Mutex
	events []domain.Event
}

const breakerName = "payments"

// node joins a replica to the world; it leaves when the test ends.
func (w *world) node(p domain.CircuitBreaker) *node {
	w.tb.Helper()
	return w.nodeWith(p, fleet.Config{})
}

func (w *world) nodeWith(p domain.CircuitBreaker, c fleet.Config) *node {
	w.tb.Helper()
	l := &line{world: w}
	n := w.nodeOn(port.Stores{Breakers: l, Views: l, Operator: ordering{l}}, p, c)
	n.line = l
	return n
}

// nodeOn is a node that reaches the world by the given way.
func (w *world) nodeOn(stores port.Stores, p domain.CircuitBreaker, c fleet.Config) *node {
	w.tb.Helper()
	leaktest.Check(w.tb)
	n := &node{tb: w.tb}
	listen := c.OnEvent
	c.OnEvent = func(e domain.Event) {
		n.mu.Lock()
		n.events = append(n.events, e)
		n.mu.Unlock()
		if listen != nil {
			listen(e)
		}
	}
	replica, err := fleet.Join(stores, c)
	if err != nil {
		w.tb.Fatal(err)
	}
	n.replica = replica
	w.tb.Cleanup(n.close)
	p.Name = breakerName
	if n.Breaker, err = replica.Breaker(p); err != nil {
		w.tb.Fatal(err)
	}
	return n
}

func (w *world) nodes(count int, p domain.CircuitBreaker) []*node {
	w.tb.Helper()
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = w.node(p)
	}
	return nodes
}

func (n *node) close() {
	if err := n.replica.Close(context.Background()); err != nil {
		n.tb.Errorf("Close: %v", err)
	}
}

// call makes one call with an outcome; its error is the refusal.
func (n *node) call(o domain.Outcome) error {
	permit, err := n.Acquire(context.Background())
	if err == nil {
		permit.Report(o)
	}
	return err
}

// calls makes calls that must all be let through, or be refused once it is open.
func (n *node) calls(count int, o domain.Outcome) (passed int) {
	for range count {
		if n.call(o) == nil {
			passed++
		}
	}
	return passed
}

// patient asks until it is let through.
func (n *node) patient() fleet.Permit {
	n.tb.Helper()
	for start := time.Now(); time.Since(start) < time.Hour; time.Sleep(time.Millisecond) {
		if permit, err := n.Acquire(context.Background()); err == nil {
			return permit
		}
	}
	n.tb.Fatal("not let through within an hour")
	return fleet.Permit{}
}

// meet lets the nodes make the breaker in the store, and hear of it.
func meet(nodes ...*node) {
	for _, n := range nodes {
		n.calls(1, domain.Success)
	}
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// trip opens the fleet's breaker by the failures of all nodes.
func trip(nodes ...*node) {
	meet(nodes...)
	for _, n := range nodes {
		n.calls(domain.DefaultFailureThreshold, domain.Failure)
	}
	synctest.Wait()
}

// told is the transitions of one scope that the node's events told.
func (n *node) told(scope domain.Scope) []domain.State {
	n.mu.Lock()
	defer n.mu.Unlock()
	var states []domain.State
	for _, e := range n.events {
		if e.Kind == domain.EventBreaker && e.Scope == scope {
			states = append(states, e.To)
		}
	}
	return states
}

// count is how many events of a kind were told.
func (n *node) count(kind domain.EventKind) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.events {
		if e.Kind == kind {
			count++
		}
	}
	return count
}

// wantEvents checks that a node's events go on from one state to the next, and
// end in the state that it has.
func (n *node) wantEvents() {
	n.tb.Helper()
	synctest.Wait() // they are told from a goroutine of their own
	s := n.Status()
	for scope, end := range map[domain.Scope]domain.State{domain.ScopeReplica: s.Local, domain.ScopeFleet: s.Fleet} {
		at := domain.StateClosed
		n.mu.Lock()
		for _, e := range n.events {
			if e.Kind != domain.EventBreaker || e.Scope != scope {
				continue
			}
			if e.From != at || e.To == at {
				n.tb.Errorf("%s: an event from %s to %s, but it was %s", scope, e.From, e.To, at)
			}
			at = e.To
		}
		n.mu.Unlock()
		if at != end {
			n.tb.Errorf("%s: the last event says %s, but it is %s", scope, at, end)
		}
	}
}

func (n *node) wantFleet(want domain.State) {
	n.tb.Helper()
	if s := n.Status(); s.Fleet != want {
		n.tb.Errorf("the fleet's layer is %s; want %s (%+v)", s.Fleet, want, s)
	}
}

func (n *node) wantState(want domain.State, scope domain.Scope) {
	n.tb.Helper()
	if s := n.Status(); s.State != want || s.Scope != scope {
		n.tb.Errorf("it is %s by the %s; want %s by the %s (%+v)", s.State, s.Scope, want, scope, s)
	}
}

// wantOpen checks that err is a refusal of scope that says when to come back.
func wantOpen(tb testing.TB, err error, scope domain.Scope, low, high time.Duration) {
	tb.Helper()
	open, ok := errors.AsType[*domain.CircuitOpenError](err)
	if !ok || !errors.Is(err, domain.ErrCircuitOpen) {
		tb.Errorf("error %v; want a refusal", err)
		return
	}
	if open.Name != breakerName || open.Scope != scope || open.RetryAfter < low || open.RetryAfter > high {
		tb.Errorf("refused by the %s for %s; want by the %s for %s to %s", open.Scope, open.RetryAfter, scope, low, high)
	}
}
