package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// faults are the ways in which a store fails (cases.md part 1, 53 and part 2,
// 23 and 24).
func faults() map[string]func(ctx context.Context, execute func()) error {
	return map[string]func(ctx context.Context, execute func()) error{
		"broken":        isBroken,
		"silent":        isSilent,
		"loses replies": losesReplies,
	}
}

// bringDown makes calls until the store is known to be down.
func bringDown(t *testing.T, r *watched, l *fleet.Limiter, key string) {
	t.Helper()
	for range 3 {
		_, _ = l.Peek(t.Context(), key)
	}
	synctest.Wait()
	if !r.Health().StoreDown {
		t.Fatal("the store is not down after three failures")
	}
}

// bringUp makes calls until the store is known to be up, and returns how long
// that took.
func bringUp(t *testing.T, r *watched, l *fleet.Limiter, key string) time.Duration {
	t.Helper()
	start := time.Now()
	for r.Health().StoreDown {
		if time.Since(start) > time.Minute {
			t.Fatal("the store did not come back")
		}
		_, _ = l.Peek(t.Context(), key)
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

// cases.md part 1, 53: store down, slow or losing replies: the declared mode
// within a bounded time, one event, and a clean return.
func TestCase53Outage(t *testing.T) {
	for name, fault := range faults() {
		for _, outage := range []domain.Outage{domain.OutageOpen, domain.OutageClosed, domain.OutageLocalShare} {
			t.Run(name+", "+outage.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, stores := newFaulty(memory.New(memory.Options{}).Stores())
					r := join(t, stores, fleet.Config{})
					l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Outage: outage})
					if d := allow(t, l, ""); !d.Allowed || d.Degraded {
						t.Fatalf("before: %+v", d)
					}
					r.wantKinds()
					store.set(fault)
					for i := range 100 {
						start := time.Now()
						d, err := l.Allow(t.Context(), "")
						took := time.Since(start)
						if most := storeTimeout; took > most || (i >= 3 && took != 0) {
							t.Errorf("call %d took %v", i, took)
						}
						switch outage {
						case domain.OutageOpen:
							if want := (domain.Decision{Allowed: true, Degraded: true, Granted: 1}); d != want || err != nil {
								t.Fatalf("call %d: %+v, %v; want %+v", i, d, err, want)
							}
						case domain.OutageClosed:
							if d != (domain.Decision{}) || !errors.Is(err, domain.ErrStoreUnavailable) {
								t.Fatalf("call %d: %+v, %v; want ErrStoreUnavailable", i, d, err)
							}
						default:
							if d.Allowed || !d.Degraded || d.RetryAfter <= 0 || err != nil {
								t.Fatalf("call %d: %+v, %v; want it refused: the share starts empty", i, d, err)
							}
						}
					}
					r.wantKinds(domain.EventStoreDown)
					store.set(nil)
					if took := bringUp(t, r, l, ""); took > 2*time.Second {
						t.Errorf("it came back after %v", took)
					}
					r.wantKinds(domain.EventStoreUp)
					time.Sleep(3 * time.Second)
					if d := allow(t, l, ""); !d.Allowed || d.Degraded {
						t.Errorf("afterwards: %+v", d)
					}
					r.wantKinds()
				})
			})
		}
	}
}

// cases.md part 2, 23: a store that hangs costs a few calls a StoreTimeout each
// and then nothing; it is tried by one call at a time, ever more rarely, and
// comes back by itself, also while nobody asks.
func TestLimitCase23ASilentStoreIsTriedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(1000), Outage: domain.OutageClosed})
		allow(t, l, "")
		store.set(isSilent)
		bringDown(t, r, l, "")
		calls := store.asked.Load()
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
					if _, err := l.Allow(t.Context(), ""); !errors.Is(err, domain.ErrStoreUnavailable) {
						t.Errorf("in the outage: %v", err)
					}
				}
			})
		}
		all.Wait()
		if n := store.asked.Load() - calls; n < 8 || n > 16 {
			t.Errorf("%d store calls in 10 s of 32 callers; want about 11: trials", n)
		}
		store.requests()
		store.set(nil)
		time.Sleep(2 * time.Second)
		_, _ = l.Allow(t.Context(), "") // the one that finds that a trial is due
		synctest.Wait()
		for _, asked := range store.requests() {
			if asked.Cost != 0 {
				t.Errorf("a trial took tokens: %+v", asked)
			}
		}
		if r.Health().StoreDown {
			t.Error("it is still down after a trial that was answered")
		}
		if d := allow(t, l, ""); !d.Allowed || d.Degraded {
			t.Errorf("afterwards: %+v", d)
		}
	})
}

// Nobody asks, but the replica's own beats find that the store is back.
func TestTheStoreComesBackWhileNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Outage: domain.OutageClosed})
		allow(t, l, "")
		store.set(isBroken)
		bringDown(t, r, l, "")
		store.set(nil)
		time.Sleep(5 * time.Second)
		if d := allow(t, l, ""); !d.Allowed || d.Degraded {
			t.Errorf("5 s later: %+v; want a decision of the store", d)
		}
		r.wantKinds(domain.EventStoreDown, domain.EventStoreUp)
	})
}

// When the store is back, the callers that wait share flights: no flood.
func TestRecoveryIsNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		replicas, limiters := make([]*watched, 20), make([]*fleet.Limiter, 20)
		for i := range replicas {
			replicas[i] = join(t, stores, fleet.Config{})
			limiters[i] = replicas[i].limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(100_000), Outage: domain.OutageClosed})
		}
		store.set(isBroken)
		for i, r := range replicas {
			bringDown(t, r, limiters[i], "")
		}
		var all sync.WaitGroup
		end := time.Now().Add(6 * time.Second)
		for _, l := range limiters {
			for range 20 {
				all.Go(func() {
					for time.Now().Before(end) {
						_, _ = l.Allow(t.Context(), "")
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
		}
		time.Sleep(3 * time.Second)
		// From now on it answers, and a call takes a while, as on a network.
		var inAir, most atomic.Int64
		calls := store.asked.Load()
		store.set(func(_ context.Context, execute func()) error {
			if n := inAir.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(5 * time.Millisecond)
			execute()
			inAir.Add(-1)
			return nil
		})
		all.Wait()
		t.Logf("%d store calls in 3 s, at most %d at once", store.asked.Load()-calls, most.Load())
		// One flight a replica, whatever number of callers; a trial or a beat beside it.
		if most.Load() > 40 {
			t.Errorf("%d store calls at once while 20 replicas with 20 callers each came back; want 40 at most", most.Load())
		}
		for _, r := range replicas {
			if r.Health().StoreDown {
				t.Error("a replica did not come back")
			}
		}
	})
}

// Edges only: one event and one log line when the store goes down, one each
// when it comes back, whatever number of calls.
func TestOneEventAndOneLineAtEachEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{ID: "replica-7"})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		allow(t, l, "")
		if lines := r.logged(); len(lines) != 0 {
			t.Errorf("%d log lines before anything happened", len(lines))
		}
		for range 3 {
			store.set(isBroken)
			for range 1000 {
				_, _ = l.Allow(t.Context(), "")
				time.Sleep(10 * time.Millisecond)
			}
			synctest.Wait()
			down := r.logged()
			if len(down) != 1 || down[0].Level != slog.LevelWarn || !strings.Contains(down[0].Message, "store down") {
				t.Errorf("log lines at the edge down: %v; want one warning", texts(down))
			}
			r.wantKinds(domain.EventStoreDown)
			store.set(nil)
			bringUp(t, r, l, "")
			for range 1000 {
				allow(t, l, "")
			}
			up := r.logged()
			if len(up) != 1 || up[0].Level != slog.LevelInfo || !strings.Contains(up[0].Message, "store up") {
				t.Errorf("log lines at the edge up: %v; want one", texts(up))
			}
			r.wantKinds(domain.EventStoreUp)
		}
	})
}

func texts(lines []slog.Record) (texts []string) {
	for _, line := range lines {
		text := line.Level.String() + " " + line.Message
		line.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
		texts = append(texts, text)
	}
	return texts
}

// A caller that goes away, or has little time left, says nothing about the store.
func TestACallersHasteIsNoStoreFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(1000), Outage: domain.OutageClosed})
		store.set(func(_ context.Context, execute func()) error {
			time.Sleep(50 * time.Millisecond) // slow, and in time
			execute()
			return nil
		})
		why := errors.New("the user went away")
		for i := range 20 {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Duration(i)*time.Millisecond, func() { cancel(why) })
			if d, err := l.Allow(ctx, ""); !errors.Is(err, why) || d.Allowed {
				t.Errorf("cancelled: %+v, %v", d, err)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Millisecond)
			if d, err := l.Allow(ctx, ""); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, domain.ErrStoreUnavailable) || d.Allowed {
				t.Errorf("its own deadline: %+v, %v", d, err)
			}
			stop()
			time.Sleep(200 * time.Millisecond)
		}
		r.wantKinds()
		if r.Health().StoreDown {
			t.Error("the store is taken for down")
		}
	})
}

// A Budget is one StoreTimeout for all of a call's policies; one that is nearly
// spent says nothing about the store either.
func TestABudgetIsOneStoreTimeoutForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		r := join(t, stores, fleet.Config{})
		limiters := make([]*fleet.Limiter, 5)
		for i := range limiters {
			limiters[i] = r.limiter(domain.RateLimit{
				Name: fmt.Sprint("limit", i), Limit: domain.PerHour(1000), Outage: domain.OutageClosed,
			})
		}
		store.set(func(ctx context.Context, execute func()) error {
			select {
			case <-time.After(40 * time.Millisecond):
				execute()
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		for range 10 {
			var b fleet.Budget
			start := time.Now()
			answered := 0
			for _, l := range limiters {
				if d, err := l.AllowWithin(t.Context(), "", 1, &b); err == nil && d.Allowed && !d.Degraded {
					answered++
				} else if !errors.Is(err, domain.ErrStoreUnavailable) {
					t.Errorf("%+v, %v", d, err)
				}
			}
			if took := time.Since(start); took != storeTimeout || answered != 2 {
				t.Errorf("five limits took %v and %d were answered; want %v and 2", took, answered, storeTimeout)
			}
			time.Sleep(time.Second)
		}
		r.wantKinds()
		if r.Health().StoreDown {
			t.Error("calls without time left took the store for down")
		}
		d, err := limiters[0].AllowWithin(t.Context(), "", 1, nil)
		if err != nil || !d.Allowed {
			t.Errorf("without a budget: %+v, %v", d, err)
		}
	})
}

// Trouble with one entity is no outage: its callers get the declared behaviour
// with the error, the others notice nothing, and it heals.
func TestAPoisonedBucketIsNoOutage(t *testing.T) {
	for _, outage := range []domain.Outage{domain.OutageOpen, domain.OutageClosed, domain.OutageLocalShare} {
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores, server := onMiniredis(t)
				r := join(t, stores, fleet.Config{})
				l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Keyed: true, Outage: outage})
				allow(t, l, "b")
				synctest.Wait() // the number of replicas is known
				for i, poison := range []func(){
					func() { server.FlushAll(); _ = server.Set("test:{bapi=a}", "garbage") },
					func() { server.FlushAll(); server.HSet("test:{bapi=a}", "c", "nan") },
					func() { server.FlushAll(); server.HSet("test:{bapi=a}", "c", "1", "u", "1", "p", "1:2:3") },
				} {
					poison()
					d, err := l.Allow(t.Context(), "a")
					switch outage {
					case domain.OutageOpen:
						if want := (domain.Decision{Allowed: true, Degraded: true, Granted: 1}); d != want || err != nil {
							t.Errorf("poison %d: %+v, %v; want %+v", i, d, err, want)
						}
					case domain.OutageClosed:
						said, ok := errors.AsType[*domain.StoreError](err)
						if !ok || !said.Entity || said.Config || said.Name != "api" {
							t.Errorf("poison %d: %v; want a StoreError about this entity", i, err)
						}
					default:
						if !d.Degraded || d.Allowed || err != nil {
							t.Errorf("poison %d: %+v, %v; want the local share's refusal", i, d, err)
						}
					}
					if d := allow(t, l, "b"); !d.Allowed || d.Degraded {
						t.Errorf("poison %d: another key: %+v", i, d)
					}
					if d := allow(t, l, "a"); !d.Allowed || d.Degraded {
						t.Errorf("poison %d: it did not heal: %+v", i, d)
					}
				}
				// A newer schema is left alone, and that is no outage either.
				server.FlushAll()
				server.HSet("test:{bapi=a}", "c", "1", "u", "1", "p", "2:what:ever")
				for range 10 {
					if _, err := l.Allow(t.Context(), "a"); (err != nil) != (outage == domain.OutageClosed) {
						t.Errorf("a newer schema: %v", err)
					}
				}
				if got := server.HGet("test:{bapi=a}", "p"); got != "2:what:ever" {
					t.Errorf("a newer schema was overwritten by %q", got)
				}
				r.wantKinds()
				if r.Health().StoreDown {
					t.Error("it took the store down")
				}
			})
		})
	}
}

// cases.md part 2, 24: each of the server's refusals is the outage behaviour;
// permissions and passwords are told apart.
func TestLimitCase24TheServersRefusals(t *testing.T) {
	for text, config := range map[string]bool{
		"NOSCRIPT No matching script. Please use EVAL.":                               false,
		"LOADING Redis is loading the dataset in memory":                              false,
		"READONLY You can't write against a read only replica.":                       false,
		"OOM command not allowed when used memory > 'maxmemory'.":                     false,
		"MOVED 1234 127.0.0.1:7001":                                                   false,
		"BUSY Redis is busy running a script.":                                        false,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is 'no'.":   false,
		"CLUSTERDOWN The cluster is down":                                             false,
		"MISCONF Redis is configured to save RDB snapshots":                           false,
		"NOREPLICAS Not enough good replicas to write.":                               false,
		"NOPERM this user has no permissions to run the 'evalsha' command":            true,
		"NOAUTH Authentication required.":                                             true,
		"WRONGPASS invalid username-password pair or user is disabled.":               true,
		"ERR The user executing the script can't run this command or subcommand":      true,
		"ERR ACL failure in script: User default has no permissions to run 'pexpire'": true,
	} {
		t.Run(strings.Fields(text)[0]+" "+strings.Fields(text)[1], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores, server := onMiniredis(t)
				r := join(t, stores, fleet.Config{})
				l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Outage: domain.OutageClosed})
				open := r.limiter(domain.RateLimit{Name: "open", Limit: domain.PerSecond(10), Outage: domain.OutageOpen})
				allow(t, l, "")
				synctest.Wait()
				server.SetError(text)
				for i := range 20 {
					start := time.Now()
					_, err := l.Allow(t.Context(), "")
					if want := domain.ErrStoreUnavailable; !config && !errors.Is(err, want) {
						t.Fatalf("call %d: %v; want %v", i, err, want)
					}
					if want := domain.ErrStoreConfig; config && (!errors.Is(err, want) || domain.IsRetryable(err)) {
						t.Fatalf("call %d: %v; want %v, not retryable", i, err, want)
					}
					if d := allow(t, open, ""); !d.Allowed || !d.Degraded {
						t.Errorf("call %d: %+v; want it open", i, d)
					}
					if took := time.Since(start); took > storeTimeout {
						t.Errorf("call %d took %v", i, took)
					}
				}
				time.Sleep(time.Minute) // it goes on: the beats fail too
				_, _ = l.Allow(t.Context(), "")
				if config {
					r.wantKinds(domain.EventStoreConfig, domain.EventStoreDown)
					loud := 0
					for _, line := range r.logged() {
						if line.Level == slog.LevelError {
							loud++
						}
					}
					if loud != 1 {
						t.Errorf("%d errors in the log; want 1", loud)
					}
				} else {
					r.wantKinds(domain.EventStoreDown)
				}
				server.SetError("")
				bringUp(t, r, l, "")
				r.wantKinds(domain.EventStoreUp)
				time.Sleep(time.Second)
				if d := allow(t, l, ""); !d.Allowed || d.Degraded {
					t.Errorf("afterwards: %+v", d)
				}
			})
		})
	}
}

// A store on which some rights are missing: beats pass, takes do not. It must
// not be loud again and again.
func TestAStoreThatIsHalfConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = memory.New(memory.Options{}).Stores().Members // without the fault
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Outage: domain.OutageClosed})
		store.set(func(context.Context, func()) error {
			return &domain.StoreError{Op: "bucket take", Config: true, Err: errors.New("NOPERM")}
		})
		for range 600 {
			if _, err := l.Allow(t.Context(), ""); !errors.Is(err, domain.ErrStoreConfig) {
				t.Fatalf("%v; want ErrStoreConfig", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		r.wantKinds(domain.EventStoreConfig, domain.EventStoreDown)
		store.set(nil)
		if took := bringUp(t, r, l, ""); took > 2*time.Second {
			t.Errorf("once it was mended it came back after %v", took)
		}
		r.wantKinds(domain.EventStoreUp)
	})
}

// full is a store that answers, and cannot be written: its memory is full, or it
// is a read replica.
type full struct {
	port.BucketStore

	is *atomic.Bool
}

func (f full) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	f.BucketStore.Take(ctx, in, out)
	for i := range in {
		if f.is.Load() && (in[i].Cost > 0 || in[i].Turn) {
			out[i] = port.TakeReply{Err: &domain.StoreError{Op: "bucket take", Err: errors.New("OOM")}}
		}
	}
}

// A store that still answers reads is not up again: what tries it writes.
func TestAStoreThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var isFull atomic.Bool
		stores := memory.New(memory.Options{}).Stores()
		stores.Buckets, stores.Members = full{stores.Buckets, &isFull}, nil
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(100), Outage: domain.OutageClosed})
		b, err := r.Breaker(domain.CircuitBreaker{Name: "api"}) // which reads
		if err != nil {
			t.Fatal(err)
		}
		live := func(span time.Duration) {
			for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				_, _ = l.Allow(t.Context(), "")
				_, _ = l.Peek(t.Context(), "")
				permit, err := b.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				permit.Report(domain.Success)
			}
		}
		live(time.Second)
		isFull.Store(true)
		live(time.Minute)
		r.wantKinds(domain.EventStoreDown)
		isFull.Store(false)
		if took := bringUp(t, r, l, ""); took > 2*time.Second {
			t.Errorf("once it could be written it came back after %v", took)
		}
		live(time.Second)
		r.wantKinds(domain.EventStoreUp)
	})
}

// Beats may pass in an outage, and tell that others have left. What a share has
// earned until then was divided by more, and stays so.
func TestOthersLeaveInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memory.New(memory.Options{}).Stores()
		store, stores := newFaulty(shared)
		stores.Members = shared.Members // without the fault
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10).WithBurst(1000)})
		for _, other := range []string{"a", "b", "c"} {
			if _, err := shared.Members.Beat(t.Context(), other, 20*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		for r.Health().Replicas != 4 {
			allow(t, l, "")
			time.Sleep(time.Second)
		}
		store.set(isBroken)
		for !r.Health().StoreDown {
			_, _ = l.Allow(t.Context(), "")
		}
		start, admitted := time.Now(), 0
		time.Sleep(40 * time.Second) // the others' time is over, and beats say so
		for {
			d, err := l.Allow(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if !d.Allowed {
				break
			}
			admitted++
		}
		if most := 10.0 / 4 * time.Since(start).Seconds(); float64(admitted) > most+1 || float64(admitted) < most-2 {
			t.Errorf("%d admitted after %v; want a quarter of the rate, %.0f", admitted, time.Since(start), most)
		}
	})
}

// cases.md part 2, 25: a cold start with the store down.
func TestLimitCase25ColdStartWithTheStoreDown(t *testing.T) {
	for name, fault := range faults() {
		for _, expected := range []int{0, 4} {
			t.Run(fmt.Sprintf("%s, %d expected", name, expected), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, stores := newFaulty(memory.New(memory.Options{}).Stores())
					store.set(fault)
					start := time.Now()
					r := join(t, stores, fleet.Config{ExpectedReplicas: expected})
					limit := domain.PerSecond(40)
					share := r.limiter(domain.RateLimit{Name: "share", Limit: limit})
					open := r.limiter(domain.RateLimit{Name: "open", Limit: limit, Outage: domain.OutageOpen})
					if took := time.Since(start); took != 0 || store.asked.Load()+store.beats.Load() != 0 {
						t.Errorf("joining took %v and %d store calls", took, store.asked.Load()+store.beats.Load())
					}
					if d := allow(t, open, ""); !d.Allowed || !d.Degraded {
						t.Errorf("open: %+v", d)
					}
					_, err := share.Allow(t.Context(), "")
					if want := expected == 0; want != errors.Is(err, domain.ErrStoreUnavailable) {
						t.Errorf("the share of %d replicas: %v", expected, err)
					}
					bringDown(t, r, share, "")
					time.Sleep(time.Second)
					d, err := share.Allow(t.Context(), "")
					if want := expected > 0; d.Allowed != want || (err == nil) != want {
						t.Errorf("after a second, the share of %d replicas: %+v, %v", expected, d, err)
					}
					store.set(nil)
					bringUp(t, r, share, "")
					time.Sleep(10 * time.Second)
					if d := allow(t, share, ""); !d.Allowed || d.Degraded {
						t.Errorf("once it is there: %+v", d)
					}
					if n := r.Health().Replicas; n != 1 {
						t.Errorf("%d replicas seen; want 1", n)
					}
				})
			})
		}
	}
}

// shared makes a fleet of n replicas on one store that can fail, with a limit
// that is shared out in an outage.
func shared(t *testing.T, n int, limit domain.Limit) (*faulty, []*watched, []*fleet.Limiter) {
	t.Helper()
	store, stores := newFaulty(byFlights(memory.New(memory.Options{}).Stores()))
	replicas, limiters := make([]*watched, n), make([]*fleet.Limiter, n)
	for i := range n {
		replicas[i] = join(t, stores, fleet.Config{})
		limiters[i] = replicas[i].limiter(domain.RateLimit{Name: "api", Limit: limit})
		_ = peek(t, limiters[i], "")
	}
	time.Sleep(6 * time.Second) // all have seen each other
	for i, r := range replicas {
		if got := r.Health().Replicas; got != n {
			t.Fatalf("replica %d sees %d of %d", i, got, n)
		}
	}
	return store, replicas, limiters
}

// Rule L12: the local bucket starts empty, earns rate/N only while the store is
// down, holds burst/N at most, and is kept between outages.
func TestLocalShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4
		store, replicas, limiters := shared(t, n, domain.PerSecond(40).WithBurst(20))
		l := limiters[0]
		local := func() (admitted int) {
			for {
				d := allow(t, l, "")
				if !d.Degraded {
					t.Fatalf("%+v; want a local decision", d)
				}
				if !d.Allowed {
					return admitted
				}
				if admitted++; admitted > 1000 {
					t.Fatal("the share has no end")
				}
			}
		}
		store.set(isBroken)
		if got := local(); got != 0 {
			t.Errorf("%d admitted at once; want 0: it starts empty", got)
		}
		if !replicas[0].Health().StoreDown {
			bringDown(t, replicas[0], l, "")
		}
		time.Sleep(300 * time.Millisecond)
		if got := local(); got != 3 {
			t.Errorf("%d admitted in 300 ms; want 3, a quarter of 40 a second", got)
		}
		d := allow(t, l, "")
		if d.RetryAfter != 100*time.Millisecond {
			t.Errorf("retry after %v; want 100ms", d.RetryAfter)
		}
		time.Sleep(d.RetryAfter - time.Microsecond)
		if got := local(); got != 0 {
			t.Error("allowed 1 µs early")
		}
		time.Sleep(time.Microsecond)
		if got := local(); got != 1 {
			t.Errorf("%d admitted after waiting exactly RetryAfter", got)
		}
		time.Sleep(time.Minute)
		if got := local(); got != 5 {
			t.Errorf("%d admitted after a minute; want 5, a quarter of the burst", got)
		}
		time.Sleep(290 * time.Millisecond) // 2.9 tokens are in it when the store comes back
		if got := peek(t, l, ""); !got.Allowed || !got.Degraded {
			t.Errorf("Peek = %+v; want it allowed: AllowN would be", got)
		}
		store.set(nil)
		bringUp(t, replicas[0], l, "")
		time.Sleep(time.Minute)
		store.set(isBroken)
		time.Sleep(time.Second) // the outage is not known yet
		d, err := l.Allow(t.Context(), "")
		if !d.Allowed || !d.Degraded || err != nil { // from what was kept
			t.Errorf("at the beginning of the next outage: %+v, %v; want a token that was kept", d, err)
		}
		if got := local(); got > 4 {
			t.Errorf("%d more; want what was kept, and nothing earned between outages", got)
		}
	})
}

// Rule L12: at lost replies, while the store is up, the share earns nothing: a
// store that loses 5 % of its replies is no source of tokens.
func TestLostRepliesEarnNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, replicas, limiters := shared(t, 2, domain.PerSecond(100))
		seen := &envelope{limit: domain.PerSecond(100)}
		var calls atomic.Int64
		store.set(func(ctx context.Context, execute func()) error {
			if calls.Add(1)%20 == 0 {
				return losesReplies(ctx, execute)
			}
			execute()
			return nil
		})
		for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(time.Millisecond) {
			for _, l := range limiters {
				if allow(t, l, "").Allowed {
					seen.admit()
				}
			}
		}
		if x := seen.excess(); x > 0 {
			t.Errorf("%v tokens above burst + rate·t", x)
		}
		for _, r := range replicas {
			r.wantKinds()
		}
	})
}

// Rule L12: a cost above the local burst passes on a full local bucket, into
// debt, so that it is possible at all.
func TestACostAboveTheLocalBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, replicas, limiters := shared(t, 4, domain.PerSecond(40).WithBurst(20))
		l := limiters[0]
		store.set(isBroken)
		bringDown(t, replicas[0], l, "")
		time.Sleep(499 * time.Millisecond)
		if d := allowN(t, l, "", 20); d.Allowed || d.RetryAfter != time.Millisecond {
			t.Errorf("before the local bucket is full: %+v", d)
		}
		time.Sleep(time.Millisecond)
		if d := allowN(t, l, "", 20); !d.Allowed {
			t.Errorf("on a full local bucket: %+v", d)
		}
		time.Sleep(time.Second) // 10 tokens; 15 are owed
		if d := allow(t, l, ""); d.Allowed || d.RetryAfter != 600*time.Millisecond {
			t.Errorf("in debt: %+v; want to wait 600ms", d)
		}
		time.Sleep(600 * time.Millisecond)
		if d := allow(t, l, ""); !d.Allowed {
			t.Errorf("when the debt is worked off: %+v", d)
		}
	})
}

// Rule L12: afterwards the replica pays for what it admitted, once, and at most
// a burst, whatever is lost on the way.
func TestTheBillAfterAnOutage(t *testing.T) {
	for _, row := range []struct {
		name    string
		outage  domain.Outage
		down    time.Duration // admitted: 10 a second under LocalShare, all 50 a second under Open
		lose    int           // replies to the bill that are lost
		charged int64         // of a burst of 20, refilled in hours
	}{
		{"local share", domain.OutageLocalShare, 800 * time.Millisecond, 0, 8},
		{"local share, the bill's reply is lost", domain.OutageLocalShare, 800 * time.Millisecond, 1, 8},
		{"local share, and again", domain.OutageLocalShare, 800 * time.Millisecond, 2, 8},
		{"open", domain.OutageOpen, 200 * time.Millisecond, 0, 11},
		{"open, for long", domain.OutageOpen, 20 * time.Second, 0, 20},
		{"open, for long, and the bill's reply is lost", domain.OutageOpen, 20 * time.Second, 1, 20},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, stores := newFaulty(memory.New(memory.Options{}).Stores())
				r := join(t, stores, fleet.Config{})
				l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10).WithBurst(20), Outage: row.outage, Version: 1})
				peek(t, l, "")
				synctest.Wait()
				store.set(isBroken)
				bringDown(t, r, l, "")
				admitted := int64(0)
				for start := time.Now(); time.Since(start) <= row.down; time.Sleep(20 * time.Millisecond) {
					if d := allow(t, l, ""); d.Allowed {
						admitted++
					}
				}
				t.Logf("%d admitted", admitted)
				// From here on nothing refills, so that the charge can be seen.
				if err := l.Update(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(20), Outage: row.outage, Version: 2}); err != nil {
					t.Fatal(err)
				}
				store.requests()
				store.loseBills(row.lose)
				store.set(nil)
				bringUp(t, r, l, "")
				time.Sleep(20 * time.Second) // nobody asks: what is owed is paid all the same
				bills := map[uint64]int64{}
				for _, asked := range store.requests() {
					if asked.Bill != 0 {
						bills[asked.Bill] = asked.Cost
					}
					if asked.Bill != 0 && asked.Cost > 20 {
						t.Errorf("a bill of %d tokens; want a burst at most", asked.Cost)
					}
				}
				if len(bills) != 1 {
					t.Errorf("bills %v; want one, sent again under its number when its reply is lost", bills)
				}
				if n := store.billsToLose(); n != 0 {
					t.Errorf("%d of %d replies were not lost: no bill was sent", n, row.lose)
				}
				if got := 20 - peek(t, l, "").Remaining; got != row.charged {
					t.Errorf("%d tokens were charged; want %d", got, row.charged)
				}
			})
		})
	}
}

// The bill of an outage that is cut in two by an answer: each part is paid.
func TestBillsOfAFlappingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(100), Outage: domain.OutageOpen})
		allow(t, l, "")
		total := int64(1)
		for range 5 {
			store.set(isBroken)
			for range 7 {
				if d := allow(t, l, ""); !d.Allowed || !d.Degraded {
					t.Fatalf("%+v", d)
				}
				total++
			}
			store.set(nil)
			bringUp(t, r, l, "")
			time.Sleep(time.Second)
		}
		if got := 100 - peek(t, l, "").Remaining; got != total {
			t.Errorf("%d tokens were charged; want %d", got, total)
		}
	})
}

// A store that loses single replies is never down: what was admitted meanwhile
// is paid all the same, also when the lane is not asked again.
func TestDebtsOfSingleLostReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(100), Outage: domain.OutageOpen, Keyed: true})
		allow(t, l, "a")
		allow(t, l, "b")
		synctest.Wait() // its first beat is no third reply that is lost
		store.set(isBroken)
		allow(t, l, "a")
		allow(t, l, "a")
		store.set(nil)
		allow(t, l, "b")
		time.Sleep(10 * time.Second)
		r.wantKinds()
		other := join(t, stores, fleet.Config{}).limiter(l.Policy())
		if got := peek(t, other, "a").Remaining; got != 97 {
			t.Errorf("another replica sees %d tokens; want 97: three were admitted", got)
		}
	})
}

// A bill that the store does not take is no reason to send it all the time.
func TestABillThatCannotBePaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, server := onMiniredis(t)
		store, stores := newFaulty(stores)
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Outage: domain.OutageOpen, Keyed: true})
		server.HSet("test:{bapi=a}", "c", "1", "u", "1", "p", "2:a:newer:schema")
		for range 3 {
			if d := allow(t, l, "a"); !d.Allowed || !d.Degraded {
				t.Errorf("%+v; want it open", d)
			}
		}
		for range 10 {
			allow(t, l, "b") // each answer is an occasion to collect
			time.Sleep(time.Second)
		}
		if n := store.asked.Load(); n > 40 {
			t.Errorf("%d store calls for 13 calls in 10 s", n)
		}
		server.Del("test:{bapi=a}")
		allow(t, l, "b")
		time.Sleep(2 * time.Second)
		allow(t, l, "b")
		time.Sleep(10 * time.Millisecond)
		if d := peek(t, join(t, stores, fleet.Config{}).limiter(l.Policy()), "a"); d.Remaining != 7 {
			t.Errorf("%+v; want the bill of 3 sent again when it could be paid", d)
		}
	})
}

// Many buckets owe something: all are paid soon, in shared calls.
func TestManyBillsArePaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Outage: domain.OutageOpen, Keyed: true})
		allow(t, l, "k")
		store.set(isBroken)
		bringDown(t, r, l, "k")
		const keys = 5000
		for i := range keys {
			allowN(t, l, fmt.Sprint("key", i), 2)
		}
		store.requests()
		calls := store.asked.Load()
		store.set(func(_ context.Context, execute func()) error {
			time.Sleep(10 * time.Millisecond) // 256 together, two at a time: in one StoreTimeout they do not all fly
			execute()
			return nil
		})
		bringUp(t, r, l, "k")
		time.Sleep(10 * time.Second)
		t.Logf("%d store calls", store.asked.Load()-calls)
		if n := store.asked.Load() - calls; n > 200 {
			t.Errorf("%d store calls for %d bills", n, keys)
		}
		bills := map[string]int{}
		for _, asked := range store.requests() {
			if asked.Bill != 0 {
				bills[asked.Bucket.Key]++
			}
		}
		if len(bills) != keys {
			t.Errorf("%d of %d buckets were billed", len(bills), keys)
		}
		for key, n := range bills {
			if n != 1 {
				t.Fatalf("%s was billed %d times", key, n)
			}
		}
	})
}

// Rule L12 over a whole fleet: cut off for a while, it stays near the limit, and
// pays afterwards.
func TestAFleetInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 8
		limit := domain.PerSecond(80).WithBurst(40)
		store, _, limiters := shared(t, n, limit)
		seen := &envelope{limit: limit}
		var all sync.WaitGroup
		end := time.Now().Add(12 * time.Second)
		for _, l := range limiters {
			all.Go(func() {
				for time.Now().Before(end) {
					d := allow(t, l, "")
					if d.Allowed {
						seen.admit()
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(3 * time.Second)
		store.set(isSilent)
		time.Sleep(3 * time.Second)
		store.set(nil)
		all.Wait()
		x := seen.excess()
		t.Logf("%d admitted, %v tokens above burst + rate·t in the worst interval", seen.total(), x)
		if x > n {
			t.Errorf("%v tokens above burst + rate·t in the worst interval; want %d at most, one a replica", x, n)
		}
		if total := seen.total(); total < 80*12*7/10 {
			t.Errorf("%d admitted in 12 s of 80 a second", total)
		}
	})
}

// A store in this process that is full is an outage of one bucket: the limit
// does what its Outage says.
func TestAMemoryStoreThatIsFull(t *testing.T) {
	for _, outage := range []domain.Outage{domain.OutageOpen, domain.OutageClosed, domain.OutageLocalShare} {
		for name, form := range map[string]func(port.Stores) port.Stores{
			"bound":      func(s port.Stores) port.Stores { return s },
			"by flights": byFlights,
		} {
			t.Run(outage.String()+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					stores := form(memory.New(memory.Options{MaxKeys: 64}).Stores())
					stores.Members = nil
					r := join(t, stores, fleet.Config{ExpectedReplicas: 1})
					l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Keyed: true, Outage: outage})
					full := 0
					for i := range 200 {
						d, err := l.Allow(t.Context(), fmt.Sprint("key", i))
						if err == nil && d.Allowed && !d.Degraded {
							continue
						}
						full++
						switch outage {
						case domain.OutageOpen:
							if !d.Allowed || !d.Degraded || err != nil {
								t.Fatalf("%+v, %v; want it open", d, err)
							}
						case domain.OutageClosed:
							if !errors.Is(err, domain.ErrStoreUnavailable) {
								t.Fatalf("%+v, %v; want ErrStoreUnavailable", d, err)
							}
						default:
							if d.Allowed || !d.Degraded || err != nil {
								t.Fatalf("%+v, %v; want the local share's refusal", d, err)
							}
						}
					}
					if full < 100 {
						t.Errorf("only %d of 200 keys found the store full", full)
					}
					if d := allow(t, l, "key0"); !d.Allowed || d.Degraded {
						t.Errorf("a key that was there: %+v; want the store's decision", d)
					}
					r.wantKinds()
				})
			})
		}
	}
}
