package fleet_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/store/memory"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

const storeTimeout = fleet.DefaultStoreTimeout

// A bubbleStore makes a store whose clock is the bubble's.
type bubbleStore struct {
	name string
	make func(t *testing.T) port.Stores
}

// bubbleStores are the stores that the rules of a limit are tested on, since they
// must not differ (cases.md part 1, 59). The real Redis is asked where its own
// clock does: here and there, in store/redis and in integration.
func bubbleStores() []bubbleStore {
	return []bubbleStore{
		{"memory", func(*testing.T) port.Stores { return memory.New(memory.Options{}).Stores() }},
		{"memory by flights", func(*testing.T) port.Stores { return byFlights(memory.New(memory.Options{}).Stores()) }},
		{"miniredis", func(t *testing.T) port.Stores { stores, _ := onMiniredis(t); return stores }},
	}
}

// onEachStore runs a test in a bubble of its own on each store.
func onEachStore(t *testing.T, test func(t *testing.T, stores port.Stores)) {
	t.Helper()
	for _, store := range bubbleStores() {
		t.Run(store.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, store.make(t)) })
		})
	}
}

// byFlights hides that a store is in this process.
func byFlights(s port.Stores) port.Stores {
	s.Buckets = flown{s.Buckets}
	return s
}

// flown is a store that lends, and is somewhere else.
type flown struct{ port.BucketStore }

func (flown) Lends()  {}
func (flown) Obeys()  {}
func (flown) Queues() {}

// onMiniredis is a store on a server without a socket, for a bubble.
func onMiniredis(t *testing.T) (port.Stores, *miniredis.Miniredis) {
	t.Helper()
	leaktest.Check(t)
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	client := redis.NewClient(&redis.Options{
		Addr:                     "127.0.0.1:1", // an address that nobody has to look up
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return server.Dial() },
	})
	t.Cleanup(func() { // replicas have closed by now
		settles(t, "subscriptions", server.PubSubNumPat)
		_ = client.Close()
		settles(t, "connections", server.CurrentConnectionCount)
		server.Close()
	})
	return redisstore.New(client, "test", redisstore.Options{}).Stores(), server
}

// settles checks that a server has nothing left of a kind, once it has noticed.
func settles(t *testing.T, what string, count func() int) {
	t.Helper()
	for range 1000 {
		if count() == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("the server has %d %s left", count(), what)
}

// A faulty store is one between whose calls and whose answers the test stands.
type faulty struct {
	inner   port.BucketStore
	members port.MemberStore
	forgets bool // requests are not kept

	mu    sync.Mutex
	fault func(ctx context.Context, execute func()) error // nil: none
	log   []port.TakeRequest                              // all that was asked
	bills int                                             // replies to bills that are still to be lost

	asked atomic.Int64 // calls of Take
	beats atomic.Int64
}

func newFaulty(s port.Stores) (*faulty, port.Stores) {
	f := &faulty{inner: s.Buckets, members: s.Members}
	s.Buckets = faultyBuckets{f}
	if s.Members != nil {
		s.Members = faultyMembers{f}
	}
	return f, s
}

// set lets every call from now on go through fault.
func (f *faulty) set(fault func(ctx context.Context, execute func()) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// loseBills lets the replies to the next bills be lost.
func (f *faulty) loseBills(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bills = n
}

// billsToLose is how many of these replies are still to be lost.
func (f *faulty) billsToLose() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bills
}

// losesBill reports whether the reply to these requests is to be lost.
func (f *faulty) losesBill(in []port.TakeRequest) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bills == 0 || !slices.ContainsFunc(in, func(asked port.TakeRequest) bool { return asked.Bill != 0 }) {
		return false
	}
	f.bills--
	return true
}

// requests returns what was asked since the last time.
func (f *faulty) requests() []port.TakeRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

func (f *faulty) through(ctx context.Context, execute func()) error {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		execute()
		return nil
	}
	return fault(ctx, execute)
}

type faultyBuckets struct{ *faulty }

func (faultyBuckets) Lends()  {}
func (faultyBuckets) Obeys()  {}
func (faultyBuckets) Queues() {}

func (f faultyBuckets) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	f.asked.Add(1)
	if !f.forgets {
		f.mu.Lock()
		f.log = append(f.log, in...)
		f.mu.Unlock()
	}
	// What is executed late must touch neither slice.
	own, replies := slices.Clone(in), make([]port.TakeReply, len(in))
	execute := func() { f.inner.Take(context.WithoutCancel(ctx), own, replies) }
	through := f.through
	if f.losesBill(own) {
		through = losesReplies
	}
	err := through(ctx, execute)
	for i := range out {
		if err != nil {
			replies[i] = port.TakeReply{Err: asStoreError(err)}
		}
		out[i] = replies[i]
	}
}

type faultyMembers struct{ *faulty }

func (f faultyMembers) Beat(ctx context.Context, replica string, lasting time.Duration) (live int, err error) {
	f.beats.Add(1)
	failed := f.through(ctx, func() { live, err = f.members.Beat(context.WithoutCancel(ctx), replica, lasting) })
	if failed != nil {
		return 0, asStoreError(failed)
	}
	return live, err
}

func asStoreError(err error) error {
	if said, ok := errors.AsType[*domain.StoreError](err); ok {
		return said
	}
	return &domain.StoreError{Op: "test", Err: err}
}

// The faults. A broken store answers at once, a silent one not at all, and a
// reply is lost after the store has done what it was asked.
var errBroken = errors.New("connection refused")

func isBroken(context.Context, func()) error { return errBroken }

func isSilent(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func losesReplies(ctx context.Context, execute func()) error {
	execute()
	<-ctx.Done()
	return context.Cause(ctx)
}

// A watched replica is one whose events and log lines are kept.
type watched struct {
	*fleet.Replica

	t      *testing.T
	mu     sync.Mutex
	events []domain.Event
	lines  []slog.Record
}

// join makes a replica that the test closes.
func join(t *testing.T, stores port.Stores, c fleet.Config) *watched {
	t.Helper()
	leaktest.Check(t)
	w := &watched{t: t}
	c.OnEvent = func(e domain.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	c.Logger = slog.New(lineKeeper{w})
	var err error
	if w.Replica, err = fleet.Join(stores, c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func (w *watched) close() {
	if err := w.Close(context.WithoutCancel(w.t.Context())); err != nil {
		w.t.Error(err)
	}
}

func (w *watched) limiter(p domain.RateLimit) *fleet.Limiter {
	w.t.Helper()
	l, err := w.Limiter(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// kinds returns the kinds of the events since the last time.
func (w *watched) kinds() []domain.EventKind {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds := make([]domain.EventKind, 0, len(w.events))
	for _, e := range w.events {
		kinds = append(kinds, e.Kind)
	}
	w.events = nil
	return kinds
}

func (w *watched) wantKinds(want ...domain.EventKind) {
	w.t.Helper()
	if got := w.kinds(); !slices.Equal(got, want) {
		w.t.Errorf("events %v; want %v", got, want)
	}
}

// logged returns the log lines since the last time.
func (w *watched) logged() []slog.Record {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines = nil
	return lines
}

type lineKeeper struct{ *watched }

func (k lineKeeper) Enabled(context.Context, slog.Level) bool { return true }
func (k lineKeeper) WithAttrs([]slog.Attr) slog.Handler       { return k }
func (k lineKeeper) WithGroup(string) slog.Handler            { return k }

func (k lineKeeper) Handle(_ context.Context, r slog.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines = append(k.lines, r)
	return nil
}

// An envelope holds what was admitted, and when.
type envelope struct {
	limit domain.Limit
	mu    sync.Mutex
	took  []time.Time
}

// admit notes one token, now.
func (e *envelope) admit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.took = append(e.took, time.Now())
}

// excess is by how many tokens the worst interval exceeded burst + rate·t; below
// 0, by how many it stayed below. It is exact: it counts in credits, of which a
// µs earns `earn` and a token is worth `worth`.
func (e *envelope) excess() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.SortFunc(e.took, time.Time.Compare)
	limit := e.limit.WithDefaults()
	earn, worth := limit.Reduced()
	worst := -limit.Burst * worth
	var sum, least int64 // of all before, less what was earned; the least at the beginning of an interval
	for i, at := range e.took {
		earned := at.Sub(e.took[0]).Microseconds() * earn
		if i == 0 || sum-earned < least {
			least = sum - earned
		}
		sum += worth
		worst = max(worst, sum-earned-least-limit.Burst*worth)
	}
	return float64(worst) / float64(worth)
}

func (e *envelope) total() int64 { return int64(len(e.took)) }

func allow(t *testing.T, l *fleet.Limiter, key string) domain.Decision {
	t.Helper()
	return allowN(t, l, key, 1)
}

func allowN(t *testing.T, l *fleet.Limiter, key string, cost int64) domain.Decision {
	t.Helper()
	d, err := l.AllowN(t.Context(), key, cost)
	if err != nil {
		t.Fatalf("AllowN(%d): %v", cost, err)
	}
	return d
}

func peek(t *testing.T, l *fleet.Limiter, key string) domain.Decision {
	t.Helper()
	d, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatalf("Peek: %v", err)
	}
	return d
}
