package redisstore

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// Calls that wait at a stopped server are not executed when it goes on: their
// callers have had another answer meanwhile.
func TestLateCallsAreNotExecuted(t *testing.T) {
	t.Parallel()
	const calls = 5
	server := redisserver.ForTest(t)
	client, direct := connect(t, server.Addr()), connect(t, server.Addr())
	warm(t, client, 4*calls)
	s := New(client, newFleet(), Options{})
	rule := ruleOf(t, 1, 100)
	rules := rulesOf(t, domain.CircuitBreaker{Sharing: domain.ShareAny})
	report := []port.Report{{Breaker: theBreaker, Rules: rules, Evidence: breaker.Evidence{Replica: "a", Seq: 1}}}
	var view [1]port.View
	s.Stores().Breakers.Report(t.Context(), report, view[:])
	if got := takeWith(t.Context(), s, rule, takeOne()); got.Err != nil || view[0].Err != nil { // what the server's clock says
		t.Fatalf("%+v, %+v", got, view[0])
	}
	must(t, holdWith(t.Context(), s, 0).Err)
	ordered := orderWith(t.Context(), s, time.Second)
	must(t, ordered.Err)

	must(t, server.Pause())
	report[0].Evidence = sick("a", 2, view[0].Epoch)
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if got := takeWith(ctx, s, rule, takeOne()); !errors.Is(storeError(t, got.Err), context.DeadlineExceeded) {
				t.Errorf("Take = %+v; want its deadline", got)
			}
			var view [1]port.View
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			s.Stores().Breakers.Report(ctx, report, view[:])
			if !errors.Is(storeError(t, view[0].Err), context.DeadlineExceeded) {
				t.Errorf("Report = %+v; want its deadline", view[0])
			}
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if got := holdWith(ctx, s, 1); !errors.Is(storeError(t, got.Err), context.DeadlineExceeded) {
				t.Errorf("Hold = %+v; want its deadline", got)
			}
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if got := orderWith(ctx, s, time.Second); !errors.Is(storeError(t, got.Err), context.DeadlineExceeded) {
				t.Errorf("Order = %+v; want its deadline", got)
			}
		})
	}
	all.Wait()
	// The server's clock is known up to a round trip, which was short; but this
	// machine may be busy.
	<-time.After(100 * time.Millisecond)
	must(t, server.Resume())

	// The scripts run, and say that it is too late: else this shows nothing.
	for deadline := time.Now().Add(10 * time.Second); executions(t, direct) < 4+4*calls; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d late calls have reached the server", executions(t, direct)-4, 4*calls)
		}
	}
	after := New(direct, s.fleet, Options{})
	if got := takeWith(t.Context(), after, rule, bucket.Ask{Count: 1}); got.Err != nil || got.Remaining < 99 {
		t.Errorf("afterwards %+v; want only the first call executed", got)
	}
	if n := direct.Exists(t.Context(), s.key(kindPermits, theBulkhead)).Val(); n != 0 {
		t.Error("afterwards somebody holds permits")
	}
	var read [1]port.View
	after.Stores().Views.Read(t.Context(), []port.ID{theBreaker}, read[:])
	if read[0].Err != nil || read[0].State != domain.StateClosed || read[0].Order.Serial != ordered.Serial {
		t.Errorf("afterwards %+v; want no vote counted, and the first order", read[0])
	}
}

// orderWith gives an order that lasts so long.
func orderWith(ctx context.Context, s *Store, lasting time.Duration) port.OrderReply {
	var out [1]port.OrderReply
	o := breaker.Order{Force: domain.ForceOpen, ForMicro: lasting.Microseconds(), By: "ann", Reason: "a drill"}
	s.Stores().Operator.Order(ctx, []port.Order{{Breaker: theBreaker, Order: o}}, out[:])
	return out[0]
}

// warm opens n connections of the pool: on a stopped server, new ones would not
// get as far as sending a command.
func warm(t *testing.T, client *redis.Client, n int) {
	t.Helper()
	for range n {
		conn := client.Conn()
		must(t, conn.Ping(t.Context()).Err())
		defer func() { must(t, conn.Close()) }()
	}
}

// A store that is told that it is too late, although it is not, has a wrong
// idea of the server's clock: the answer corrects it, and it asks again.
func TestTooLateIsTriedAgainOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		takeWith(ctx, f.Store, ruleOf(t, 10, 10), takeOne())
		f.move(time.Hour) // the server's clock steps
		if got, want := takeWith(ctx, f.Store, ruleOf(t, 10, 10), takeOne()), (port.TakeReply{Granted: 1, Remaining: 9}); got != want {
			t.Errorf("Take = %+v; want %+v", got, want)
		}
		f.move(time.Hour)
		var view [1]port.View
		in := []port.Report{{Breaker: theBreaker, Rules: rulesOf(t, domain.CircuitBreaker{}), Evidence: sick("a", 1, 0)}}
		if f.Stores().Breakers.Report(ctx, in, view[:]); view[0].Err != nil || view[0].Epoch == 0 {
			t.Errorf("Report = %+v", view[0])
		}
		f.move(time.Hour)
		if got := orderWith(ctx, f.Store, time.Second); got.Err != nil || got.Serial == 0 {
			t.Errorf("Order = %+v", got)
		}
	})
}

// A server whose clock runs away is not asked for ever.
func TestAlwaysTooLate(t *testing.T) {
	t.Parallel()
	server := newFake(t, func([]string) string { return "*3\r\n:1\r\n:1795000000000000\r\n:1\r\n" })
	s := New(connect(t, server.addr), newFleet(), Options{})
	got := takeWith(t.Context(), s, ruleOf(t, 10, 10), takeOne())
	if said := storeError(t, got.Err); !errors.Is(said, ErrStale) || said.Entity || said.Config {
		t.Errorf("Take = %+v; want ErrStale", got)
	}
	if n := server.scripts.Load(); n != 2 {
		t.Errorf("the server was asked %d times; want 2", n)
	}
}

// Calls end with their context while a server is stopped, whatever the client's
// options: its connections are open, and it says nothing.
func TestCallsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	const timeout = 60 * time.Millisecond
	clients := map[string]func(addr string) redis.UniversalClient{
		"default options": func(addr string) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: addr})
		},
		"ends calls itself": func(addr string) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		},
		"one connection": func(addr string) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1})
		},
		"a ring": func(addr string) redis.UniversalClient {
			return redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": addr}})
		},
	}
	for kind, newClient := range clients {
		for _, warm := range []bool{true, false} {
			name := kind + ", no connection yet"
			if warm {
				name = kind + ", connected"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := redisserver.ForTest(t)
				client := newClient(server.Addr())
				t.Cleanup(func() { _ = client.Close() })
				s := New(client, newFleet(), Options{})
				if warm {
					for op, err := range callOnce(t.Context(), t, s) {
						if err != nil {
							t.Errorf("%s: %v", op, err)
						}
					}
				}
				must(t, server.Pause())
				t.Cleanup(func() { must(t, server.Resume()) })

				var took []time.Duration
				calls := eachCall(t, s)
				maps.Copy(calls, eachLook(s))
				for range 4 {
					for op, call := range calls {
						ctx, cancel := context.WithTimeout(t.Context(), timeout)
						start := time.Now()
						err := call(ctx)
						took = append(took, time.Since(start))
						cancel()
						if said := storeError(t, err); said.Config || said.Entity {
							t.Errorf("%s: %+v; want an outage", op, said)
						}
					}
				}
				slices.Sort(took)
				// A quarter of them on time, and none as late as a client's own timeout:
				// others work on this machine too.
				if early, last := took[len(took)/4], took[len(took)-1]; early > timeout+20*time.Millisecond || last > 2*time.Second {
					t.Errorf("calls of %v took %v", timeout, took)
				}
			})
		}
	}
}

// eachCall is one call of each port that decides.
func eachCall(t *testing.T, s *Store) map[string]func(context.Context) error {
	t.Helper()
	rule, rules, ports := ruleOf(t, 10, 10), rulesOf(t, domain.CircuitBreaker{}), s.Stores()
	return map[string]func(context.Context) error{
		"take": func(ctx context.Context) error { return takeWith(ctx, s, rule, takeOne()).Err },
		"report": func(ctx context.Context) error {
			var view [1]port.View
			ports.Breakers.Report(ctx, []port.Report{{Breaker: theBreaker, Rules: rules, Evidence: sick("a", 1, 0)}}, view[:])
			return view[0].Err
		},
		"probe": func(ctx context.Context) error {
			var reply [1]port.ProbeReply
			ask := breaker.ProbeAsk{Replica: "a", Token: 1}
			ports.Breakers.Probe(ctx, []port.ProbeRequest{{Breaker: theBreaker, Rules: rules, ProbeAsk: ask}}, reply[:])
			return reply[0].View.Err
		},
		"read": func(ctx context.Context) error {
			var view [1]port.View
			ports.Views.Read(ctx, []port.ID{theBreaker}, view[:])
			return view[0].Err
		},
		"beat": func(ctx context.Context) error {
			_, err := ports.Members.Beat(ctx, "a", time.Second)
			return err
		},
		"hold": func(ctx context.Context) error { return holdWith(ctx, s, 1).Err },
		"order": func(ctx context.Context) error {
			var reply [1]port.OrderReply
			ports.Operator.Order(ctx, []port.Order{{Breaker: port.ID{Name: "ordered"}, Order: breaker.Order{By: "me"}}}, reply[:])
			return reply[0].Err
		},
	}
}

// eachLook is one call of each kind that only an operator makes, to see.
func eachLook(s *Store) map[string]func(context.Context) error {
	operator := s.Stores().Operator
	return map[string]func(context.Context) error{
		"explain": func(ctx context.Context) error {
			_, err := operator.Explain(ctx, theBreaker)
			return err
		},
		"records": func(ctx context.Context) error {
			_, err := operator.Records(ctx, theBreaker)
			return err
		},
		"breakers": func(ctx context.Context) error {
			_, err := operator.Breakers(ctx)
			return err
		},
	}
}

// holdWith says that a replica could use so many permits of the bulkhead.
func holdWith(ctx context.Context, s *Store, want int64) port.HoldReply {
	in := []port.HoldRequest{{Bulkhead: theBulkhead, Ask: bulkhead.Ask{
		Holder: "a", Seq: 1 << 40, Room: 10, Keep: want, Want: want, Lasting: 1_000_000,
	}}}
	var out [1]port.HoldReply
	s.Stores().Permits.Hold(ctx, in, out[:])
	return out[0]
}

// callOnce makes each call, and returns the errors.
func callOnce(ctx context.Context, t *testing.T, s *Store) map[string]error {
	t.Helper()
	errs := make(map[string]error)
	for op, call := range eachCall(t, s) {
		errs[op] = call(ctx)
	}
	return errs
}

// Calls that a client does not end are left behind, so many and no more; then
// calls fail at once. They are gone when the server goes on.
func TestStrandedCallsAreBounded(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t)
	client := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": server.Addr()}, PoolSize: 2 * strandedMax})
	t.Cleanup(func() { _ = client.Close() })
	must(t, client.ForEachShard(t.Context(), func(_ context.Context, one *redis.Client) error {
		warm(t, one, strandedMax)
		return nil
	}))
	s := New(client, newFleet(), Options{})
	rule := ruleOf(t, 10, 10)
	must(t, server.Pause())
	var all sync.WaitGroup
	for range strandedMax {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // enough to be sent, also on a busy machine
			defer cancel()
			_ = takeWith(ctx, s, rule, takeOne())
		})
	}
	all.Wait()
	if got := takeWith(t.Context(), s, rule, takeOne()); !errors.Is(storeError(t, got.Err), errStranded) {
		t.Errorf("Take = %+v; want errStranded", got)
	}
	must(t, server.Resume())
	for deadline := time.Now().Add(10 * time.Second); ; {
		got := takeWith(t.Context(), s, rule, bucket.Ask{Count: 1})
		if got.Err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Take = %+v although the server is back", got)
		}
	}
}
