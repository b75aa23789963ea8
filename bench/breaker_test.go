package bench

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// What is behind the breaker: a call that waits a millisecond for its answer, for so
// many callers at the same time.
const (
	breakerCallers = 64
	breakerCall    = time.Millisecond
)

func operation(context.Context) error {
	time.Sleep(breakerCall)
	return nil
}

// A lockStore is what gobreaker's distributed breaker keeps its state in, on Redis,
// with redsync's locks of five seconds.
//
// The store that gobreaker comes with is a module of its own, which has no release. It
// keeps a redsync mutex for each name, which the callers of a process share, and forgets
// it at each unlock: who waited for it by then holds a lock that nobody can unlock any
// more, until it runs out. With shared that is so here; only the map is guarded, where
// theirs is not and can end the process. Without, each lock has a mutex of its own, which
// is as kind as it gets.
type lockStore struct {
	client *redis.Client
	locks  *redsync.Redsync
	shared bool

	mu   sync.Mutex
	held map[string]*redsync.Mutex
}

func newLockStore(client *redis.Client, shared bool) *lockStore {
	return &lockStore{client: client, locks: redsync.New(goredis.NewPool(client)), shared: shared, held: make(map[string]*redsync.Mutex)}
}

func (s *lockStore) Lock(name string) error {
	if s.shared {
		return s.of(name).Lock()
	}
	mutex := s.locks.NewMutex(name, redsync.WithExpiry(5*time.Second))
	if err := mutex.Lock(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[name] = mutex // nobody else holds one
	return nil
}

// of is the one mutex of a name.
func (s *lockStore) of(name string) *redsync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[name] == nil {
		s.held[name] = s.locks.NewMutex(name, redsync.WithExpiry(5*time.Second))
	}
	return s.held[name]
}

var errUnlock = errors.New("unlock failed")

func (s *lockStore) Unlock(name string) error {
	s.mu.Lock()
	mutex := s.held[name]
	s.mu.Unlock()
	if mutex == nil {
		return errUnlock
	}
	if ok, err := mutex.Unlock(); !ok || err != nil {
		return errUnlock
	}
	if s.shared {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, name)
	}
	return nil
}

func (s *lockStore) GetData(name string) ([]byte, error) {
	return s.client.Get(context.Background(), name).Bytes()
}

func (s *lockStore) SetData(name string, data []byte) error {
	return s.client.Set(context.Background(), name, data, 0).Err()
}

// theirBreaker is one gobreaker that all callers use; allowed are calls that came back
// well.
func theirBreaker(b testing.TB, client *redis.Client, shared bool) decider {
	b.Helper()
	breaker, err := gobreaker.NewDistributedCircuitBreaker[struct{}](newLockStore(client, shared), gobreaker.Settings{Name: "payments"})
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, _, _ int) (bool, error) {
		_, err := breaker.Execute(func() (struct{}, error) { return struct{}{}, operation(ctx) })
		return err == nil, nil // of those that failed none is counted
	}
}

// ourBreaker is one guard that all callers use.
func ourBreaker(b testing.TB, client *redis.Client) decider {
	b.Helper()
	orch, err := orchestrator.New(redisstore.New(client, "bench", redisstore.Options{}).Stores(), orchestrator.Config{
		Fleet: fleet.Config{StoreTimeout: 2 * time.Second},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = orch.Close(context.Background()) })
	guard, err := orch.Guard("payments", domain.CircuitBreaker{})
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, _, _ int) (bool, error) {
		err := orchestrator.Run(ctx, guard, operation)
		return err == nil, err
	}
}

func bare(ctx context.Context, _, _ int) (bool, error) { return true, operation(ctx) }

// successes is a speed by what went well; none in a whole round is taken for one.
func successes(s speed, long time.Duration) speed {
	return speed{perSecond: math.Max(s.allowed, 1/long.Seconds())}
}

// BenchmarkSharedBreaker: successful calls a second through a closed breaker that the
// fleet shares, one breaker object for 64 callers, against gobreaker's distributed one
// on the same Redis. A round is 10 s of each side, and as long again until the callers
// that wait for gobreaker's lock have given up.
//
//	go test -run '^$' -bench SharedBreaker -benchtime 3x -timeout 30m
func BenchmarkSharedBreaker(b *testing.B) {
	const long = 10 * time.Second
	for name, shared := range map[string]bool{"lock=as-it-comes": true, "lock=mended": false} {
		b.Run(name, func(b *testing.B) {
			connect := serve(b)
			theirs, ours := theirBreaker(b, connect(), shared), ourBreaker(b, connect())
			measure(b, breakerCallers, time.Second/5, ours, nil) // warm
			var all rounds
			for b.Loop() {
				all.add(successes(measure(b, breakerCallers, long, theirs, nil), long), successes(measure(b, breakerCallers, long, ours, nil), long))
			}
			all.report(b)
		})
	}
}

// BenchmarkBareOperation: the same calls through a closed breaker, and without one.
// Here theirs is the bare operation.
//
//	go test -run '^$' -bench BareOperation -benchtime 20x
func BenchmarkBareOperation(b *testing.B) {
	const long = time.Second
	ours := ourBreaker(b, serve(b)())
	measure(b, breakerCallers, long, bare, nil) // warm
	measure(b, breakerCallers, long, ours, nil)
	var all rounds
	for b.Loop() {
		all.add(measure(b, breakerCallers, long, bare, nil), measure(b, breakerCallers, long, ours, nil))
	}
	all.report(b)
}

// Both breakers let calls through, one caller at a time: else there would be nothing to
// compare.
func TestBothBreakersLetThrough(t *testing.T) {
	connect := serve(t)
	for name, call := range map[string]decider{
		"theirs, as it comes": theirBreaker(t, connect(), true), "theirs, mended": theirBreaker(t, connect(), false), "ours": ourBreaker(t, connect()),
	} {
		for n := range 10 {
			if ok, err := call(t.Context(), 0, n); !ok || err != nil {
				t.Errorf("%s: call %d: %v, %v", name, n, ok, err)
			}
		}
	}
}
