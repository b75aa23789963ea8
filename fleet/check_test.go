package fleet_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
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

// An examiner is a node with a health check.
type examiner struct {
	*node

	locks *faultyLocks

	mu     sync.Mutex
	check  func(context.Context) domain.Outcome
	checks []time.Time // when it ran
}

// examiners are nodes of one world that share a store of locks.
func (w *world) examiners(t *testing.T, n int, p domain.CircuitBreaker) []*examiner {
	t.Helper()
	locks := memory.New(memory.Options{}).Stores().Locks
	all := make([]*examiner, n)
	for i := range all {
		l, stores := newFaultyLocks(locks)
		way := &line{world: w}
		stores.Breakers, stores.Views, stores.Operator = way, way, ordering{way}
		e := &examiner{node: w.nodeOn(stores, p, fleet.Config{}), locks: l, check: says(domain.Success)}
		e.line = way
		if err := e.Check(e.examine); err != nil {
			t.Fatal(err)
		}
		all[i] = e
	}
	return all
}

func says(o domain.Outcome) func(context.Context) domain.Outcome {
	return func(context.Context) domain.Outcome { return o }
}

func (e *examiner) examine(ctx context.Context) domain.Outcome {
	e.mu.Lock()
	check := e.check
	e.checks = append(e.checks, time.Now())
	e.mu.Unlock()
	return check(ctx)
}

// becomes changes what the check says.
func (e *examiner) becomes(check func(context.Context) domain.Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.check = check
}

func (e *examiner) ran() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.checks)
}

func nodesOf(all []*examiner) []*node {
	nodes := make([]*node, len(all))
	for i, e := range all {
		nodes[i] = e.node
	}
	return nodes
}

// ranOn is how often the check ran on each.
func ranOn(all []*examiner) []int {
	counts := make([]int, len(all))
	for i, e := range all {
		counts[i] = e.ran()
	}
	return counts
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// busy calls all nodes, again and again, until the fleet's layer of all of them is closed
// or the time is over. It returns how many calls were let through meanwhile.
func busy(all []*examiner, most time.Duration) (passed int, took time.Duration) {
	start := time.Now()
	for time.Since(start) < most {
		time.Sleep(10 * time.Millisecond)
		closed := true
		for _, e := range all {
			closed = closed && e.Status().Fleet == domain.StateClosed
		}
		if closed {
			break
		}
		for _, e := range all {
			if e.Status().Fleet != domain.StateClosed && e.call(domain.Failure) == nil {
				passed++
			}
		}
	}
	return passed, time.Since(start)
}

// One replica runs the check, no call is sent as a probe, and the breaker closes. Nothing
// is asked of the locks before there is something to recover from, nor afterwards.
func TestOneReplicaChecks(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		all := w.examiners(t, 3, domain.CircuitBreaker{})
		asked := func() (n int64) {
			for _, e := range all {
				n += e.locks.asked.Load() + e.locks.extends.Load()
			}
			return n
		}
		meet(nodesOf(all)...)
		time.Sleep(time.Hour)
		if n := asked(); n != 0 {
			t.Errorf("%d calls for locks while closed", n)
		}
		trip(nodesOf(all)...)
		time.Sleep(28 * time.Second)
		if n := asked(); n != 0 || sum(ranOn(all)) != 0 {
			t.Errorf("%d calls for locks, and checks %v, while it had to stay open", n, ranOn(all))
		}
		passed, took := busy(all, time.Minute)
		if passed != 0 {
			t.Errorf("%d calls were let through as probes", passed)
		}
		if took > 11*time.Second { // RecoveryTimeout / 4 until one replica alone may decide
			t.Errorf("it closed after %s more", took)
		}
		if ran := ranOn(all); !slices.Contains(ran, 0) || w.results(domain.Success) != sum(ran) {
			t.Errorf("the checks ran %v times, and %d results counted", ran, w.results(domain.Success))
		}
		if want := []domain.State{domain.StateClosed, domain.StateOpen, domain.StateHalfOpen, domain.StateClosed}; !slices.Equal(w.history(), want) {
			t.Errorf("the fleet went %v; want %v", w.history(), want)
		}
		synctest.Wait()
		if _, free, err := all[0].locks.LockStore.Lock(t.Context(), port.ID{Name: "holdfast.probe", Key: breakerName}, time.Second); !free || err != nil {
			t.Errorf("closed again, somebody is elected still: %v", err)
		}
		before := asked()
		if before > 60 {
			t.Errorf("the elections took %d store calls", before)
		}
		time.Sleep(time.Hour)
		if n := asked() - before; n != 0 {
			t.Errorf("%d calls for locks after it closed", n)
		}
	})
}

// A replica alone recovers without any traffic, as often as it takes.
func TestCheckWithoutTraffic(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		e := w.examiners(t, 1, domain.CircuitBreaker{Sharing: domain.ShareAny})[0]
		e.becomes(says(domain.Failure))
		trip(e.node)
		time.Sleep(29 * time.Second)
		if e.ran() != 0 {
			t.Error("it was checked before its time")
		}
		time.Sleep(30 * time.Minute)
		e.wantFleet(domain.StateOpen)
		e.mu.Lock()
		gap := e.checks[len(e.checks)-1].Sub(e.checks[len(e.checks)-2])
		e.mu.Unlock()
		if gap < 5*time.Minute || gap > 6*time.Minute {
			t.Errorf("in the end it is checked each %s; want after MaxRecoveryTimeout", gap)
		}
		e.becomes(says(domain.Success))
		time.Sleep(6 * time.Minute)
		e.wantState(domain.StateClosed, domain.ScopeReplica)
	})
}

// A check that fails on one replica does not decide alone: another one is elected. When
// they differ the breaker closes, and when it fails on all of them it opens again.
func TestASecondOpinion(t *testing.T) {
	for name, tt := range map[string]struct {
		others domain.Outcome
		want   domain.State
	}{
		"differs": {domain.Success, domain.StateClosed},
		"agrees":  {domain.Failure, domain.StateOpen},
	} {
		t.Run(name, func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				all := w.examiners(t, 3, domain.CircuitBreaker{SuccessThreshold: 1})
				var once sync.Once
				for _, e := range all {
					e.becomes(func(context.Context) domain.Outcome {
						outcome := tt.others
						once.Do(func() { outcome = domain.Failure })
						return outcome
					})
				}
				trip(nodesOf(all)...)
				time.Sleep(36 * time.Second)
				for _, e := range all {
					e.wantFleet(tt.want)
				}
				if ran := ranOn(all); sum(ran) != 2 || slices.Max(ran) != 1 {
					t.Errorf("the checks ran %v times; want on two replicas", ran)
				}
			})
		})
	}
}

// A replica that cannot tell leaves it to another, and a probe that told nothing counts
// for nothing.
func TestACheckThatCannotTell(t *testing.T) {
	for _, outcome := range []domain.Outcome{domain.LocalFailure, domain.Ignored} {
		t.Run(outcome.String(), func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				all := w.examiners(t, 3, domain.CircuitBreaker{SuccessThreshold: 1})
				var first sync.Once
				var cannot atomic.Pointer[examiner]
				for _, e := range all {
					e.becomes(func(context.Context) domain.Outcome {
						first.Do(func() { cannot.Store(e) })
						if e == cannot.Load() {
							return outcome
						}
						return domain.Success
					})
				}
				trip(nodesOf(all)...)
				time.Sleep(45 * time.Second)
				all[0].wantFleet(domain.StateClosed)
				if n := cannot.Load().ran(); n > 5 || w.results(domain.Success) != sum(ranOn(all))-n || w.results(domain.Failure) != 0 {
					t.Errorf("the checks ran %v times, of which %d succeeded", ranOn(all), w.results(domain.Success))
				}
			})
		})
	}
}

// When the elected one dies with a probe another one takes over, once the lock and the
// lease are over; and what the dead one says later counts for nothing.
func TestTheElectedOneDies(t *testing.T) {
	for name, dies := range map[string]func(e *examiner){
		"it hangs": func(*examiner) {},
		"it is cut off": func(e *examiner) {
			e.line.set(hanging)
			e.locks.faults.set(isSilent)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				all := w.examiners(t, 3, domain.CircuitBreaker{SuccessThreshold: 1, MaxHalfOpen: 2 * time.Minute})
				back := make(chan struct{})
				var died atomic.Pointer[examiner]
				for _, e := range all {
					e.becomes(func(context.Context) domain.Outcome {
						if died.CompareAndSwap(nil, e) {
							dies(e)
							<-back // heeding nothing
						}
						return domain.Success
					})
				}
				trip(nodesOf(all)...)
				time.Sleep(31 * time.Second)
				if ran := ranOn(all); sum(ran) != 1 {
					close(back)
					t.Fatalf("the checks ran %v times; want once", ran)
				}
				dead := died.Load()
				passed, took := busy(slices.DeleteFunc(slices.Clone(all), func(e *examiner) bool { return e == dead }), 2*time.Minute)
				if passed != 0 || took > 25*time.Second {
					t.Errorf("%d calls passed, and it took %s to close it", passed, took)
				}
				if ran := ranOn(all); dead.ran() != 1 || sum(ran) < 2 {
					t.Errorf("the checks ran %v times; want that another one took over", ran)
				}
				before := w.results(domain.Success)
				epoch := w.view().Epoch
				dead.line.set(healthy)
				dead.locks.faults.set(nil)
				close(back)
				time.Sleep(time.Minute)
				if w.results(domain.Success) != before || w.view().Epoch != epoch {
					t.Errorf("what the dead one said counted: %d results, and the epoch is %d after %d", w.results(domain.Success), w.view().Epoch, epoch)
				}
				dead.wantFleet(domain.StateClosed)
			})
		})
	}
}

// A late success of an earlier half-open does not close a later one.
func TestACheckOfAnEarlierEpoch(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		e := w.examiners(t, 1, domain.CircuitBreaker{Sharing: domain.ShareAny, SuccessThreshold: 1, Probes: 2})[0]
		other := w.node(domain.CircuitBreaker{Sharing: domain.ShareAny, SuccessThreshold: 1, Probes: 2})
		late := make(chan struct{})
		e.becomes(func(context.Context) domain.Outcome {
			<-late
			return domain.Success
		})
		trip(e.node)
		time.Sleep(30*time.Second + 100*time.Millisecond)
		e.wantFleet(domain.StateHalfOpen)
		other.patient().Report(domain.Failure) // it opens again, while the check is under way
		time.Sleep(time.Second)
		other.wantFleet(domain.StateOpen)
		e.becomes(says(domain.Failure))
		close(late)
		time.Sleep(time.Second)
		if got := w.view(); got.State != domain.StateOpen || w.results(domain.Success) != 0 || w.voided != 1 {
			t.Errorf("it is %s, %d late results counted, %d were void", got.State, w.results(domain.Success), w.voided)
		}
	})
}

// A check that panics, or ends its goroutine, has failed. The next one runs all the same.
func TestACheckThatPanics(t *testing.T) {
	for name, ends := range map[string]func(){"panics": func() { panic("boom") }, "exits": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				e := w.examiners(t, 1, domain.CircuitBreaker{Sharing: domain.ShareAny, SuccessThreshold: 1})[0]
				e.becomes(func(context.Context) domain.Outcome { ends(); return domain.Success })
				trip(e.node)
				time.Sleep(40 * time.Second)
				e.wantFleet(domain.StateOpen)
				if e.ran() != 1 || w.results(domain.Failure) != 1 {
					t.Errorf("it ran %d times, with %d failures", e.ran(), w.results(domain.Failure))
				}
				e.becomes(says(domain.Success))
				time.Sleep(2 * time.Minute)
				e.wantFleet(domain.StateClosed)
			})
		})
	}
}

// The context of a check ends with the lease of its probe, which is no success.
func TestACheckThatTakesTooLong(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		e := w.examiners(t, 1, domain.CircuitBreaker{Sharing: domain.ShareAny, ProbeLease: 5 * time.Second})[0]
		type end struct {
			took  time.Duration
			cause error
		}
		ends := make(chan end, 2)
		e.becomes(func(ctx context.Context) domain.Outcome {
			start := time.Now()
			<-ctx.Done()
			ends <- end{time.Since(start), context.Cause(ctx)}
			return domain.Failure
		})
		trip(e.node)
		time.Sleep(40 * time.Second)
		first := <-ends
		took, cause := first.took, first.cause
		if took > 5*time.Second || took < 4900*time.Millisecond || !errors.Is(cause, domain.ErrTimeout) {
			t.Errorf("it ended after %v by %v; want by the lease of 5 s", took, cause)
		}
		e.wantFleet(domain.StateOpen)
	})
}

// The check of a replica that closes ends at once, and another replica is elected.
func TestTheElectedOneCloses(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		all := w.examiners(t, 3, domain.CircuitBreaker{})
		causes := make(chan error, 1)
		for _, e := range all {
			e.becomes(func(ctx context.Context) domain.Outcome {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return domain.Ignored
			})
		}
		trip(nodesOf(all)...)
		time.Sleep(31 * time.Second)
		i := slices.Index(ranOn(all), 1)
		if i < 0 || sum(ranOn(all)) != 1 {
			t.Fatalf("the checks ran %v times; want once", ranOn(all))
		}
		for _, e := range all {
			e.becomes(says(domain.Success))
		}
		start := time.Now()
		all[i].close()
		if cause := <-causes; !errors.Is(cause, domain.ErrClosed) || time.Since(start) != 0 {
			t.Errorf("its context ended after %s by %v", time.Since(start), cause)
		}
		time.Sleep(3 * time.Second)
		for _, e := range slices.Delete(slices.Clone(all), i, i+1) {
			e.wantFleet(domain.StateClosed)
		}
	})
}

// Where nobody can be elected, since the store of locks does not answer, calls are probes
// as they are without a check.
func TestNoElection(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		all := w.examiners(t, 2, domain.CircuitBreaker{})
		for _, e := range all {
			e.locks.faults.set(isBroken)
		}
		trip(nodesOf(all)...)
		time.Sleep(29 * time.Second)
		start := time.Now()
		for time.Since(start) < 10*time.Second && all[0].Status().Fleet != domain.StateClosed {
			time.Sleep(10 * time.Millisecond)
			for _, e := range all {
				_ = e.call(domain.Success)
			}
		}
		all[0].wantFleet(domain.StateClosed)
		if ran := ranOn(all); sum(ran) != 0 {
			t.Errorf("the checks ran %v times without an election", ran)
		}
		for _, e := range all {
			if asked := e.locks.asked.Load(); asked > 10 {
				t.Errorf("a store of locks that is down was asked %d times", asked)
			}
		}
	})
}

// What cannot be checked says why, and changes nothing.
func TestChecksThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		without := stores
		without.Locks = nil
		for name, tt := range map[string]struct {
			stores port.Stores
			policy domain.CircuitBreaker
			check  func(context.Context) domain.Outcome
			says   string
			want   error
		}{
			"no check":  {stores, domain.CircuitBreaker{}, nil, "Check is nil", domain.ErrInvalidPolicy},
			"no locks":  {without, domain.CircuitBreaker{}, says(0), "Locks are missing", domain.ErrInvalidPolicy},
			"no fleet":  {stores, domain.CircuitBreaker{Sharing: domain.ShareLocal}, says(0), "Sharing is local", domain.ErrInvalidPolicy},
			"a second":  {stores, domain.CircuitBreaker{Quorum: 1}, says(0), "already", domain.ErrConflict},
			"the first": {stores, domain.CircuitBreaker{}, says(0), "", nil},
		} {
			r := join(t, tt.stores, fleet.Config{})
			tt.policy.Name = breakerName
			b, err := r.Breaker(tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			if errors.Is(tt.want, domain.ErrConflict) {
				if err := b.Check(tt.check); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Check(tt.check); !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v; want %v, and %q", name, err, tt.want, tt.says)
			}
		}
	})
}

// As long as checks go well the same replica runs them, however long they take: its lock
// lasts longer than each, and nobody else is elected.
func TestTheElectedOneStays(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		all := w.examiners(t, 3, domain.CircuitBreaker{SuccessThreshold: 5, MaxHalfOpen: 5 * time.Minute})
		for _, e := range all {
			e.becomes(func(context.Context) domain.Outcome {
				time.Sleep(9 * time.Second)
				return domain.Success
			})
		}
		trip(nodesOf(all)...)
		if _, took := busy(all, 2*time.Minute); took < 60*time.Second || took > 90*time.Second {
			t.Errorf("it took %v to close it; want half a minute, and five checks", took)
		}
		var given, extended int64
		for _, e := range all {
			given += e.locks.given.Load()
			extended += e.locks.extends.Load()
		}
		if given != 1 || extended == 0 {
			t.Errorf("%d replicas were elected, and the lock was extended %d times", given, extended)
		}
	})
}

// Who finds that its lock is gone is elected anew, or another one is.
func TestTheElectedOneLosesItsLock(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		e := w.examiners(t, 1, domain.CircuitBreaker{Sharing: domain.ShareAny, SuccessThreshold: 5, MaxHalfOpen: 5 * time.Minute})[0]
		e.becomes(func(context.Context) domain.Outcome {
			time.Sleep(9 * time.Second)
			return domain.Success
		})
		trip(e.node)
		time.Sleep(35 * time.Second) // it checks
		given, extended := e.locks.given.Load(), e.locks.extends.Load()
		if given != 1 || e.ran() != 1 {
			t.Fatalf("%d elections and %d checks; want one", given, e.ran())
		}
		e.locks.faults.set(func(context.Context, func()) error { return nil }) // it is told no
		for e.locks.extends.Load() == extended {
			time.Sleep(10 * time.Millisecond)
		}
		e.locks.faults.set(nil)
		time.Sleep(time.Minute + 30*time.Second)
		e.wantFleet(domain.StateClosed)
		if e.locks.given.Load() == 1 {
			t.Error("it went on by a lock that it had lost")
		}
	})
}

// Breakers are checked apart: a check of one that takes long keeps no other waiting.
func TestBreakersAreCheckedApart(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		p := domain.CircuitBreaker{Sharing: domain.ShareAny, SuccessThreshold: 1}
		e := w.examiners(t, 1, p)[0]
		e.becomes(func(context.Context) domain.Outcome {
			time.Sleep(9 * time.Second)
			return domain.Success
		})
		p.Name = "stock"
		other, err := e.replica.Breaker(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Check(says(domain.Success)); err != nil {
			t.Fatal(err)
		}
		meet(e.node, &node{Breaker: other, tb: t})
		for range domain.DefaultFailureThreshold {
			_ = e.call(domain.Failure)
			_ = (&node{Breaker: other, tb: t}).call(domain.Failure)
		}
		time.Sleep(35 * time.Second)
		if e.ran() != 1 || e.Status().Fleet != domain.StateHalfOpen {
			t.Errorf("%d checks ran, and it is %v; want one under way", e.ran(), e.Status().Fleet)
		}
		if s := other.Status(); s.Fleet != domain.StateClosed {
			t.Errorf("the other breaker is %v; want it closed by its check", s.Fleet)
		}
	})
}

// When the elected one gives up and nobody takes its place, calls are probes again, at once.
func TestNobodyIsElectedAnyMore(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		e := w.examiners(t, 1, domain.CircuitBreaker{Sharing: domain.ShareAny, SuccessThreshold: 1})[0]
		e.becomes(says(domain.Ignored))
		trip(e.node)
		time.Sleep(29500 * time.Millisecond)
		if e.call(domain.Success) == nil {
			t.Error("it was let through before the time")
		}
		time.Sleep(1500 * time.Millisecond)
		if e.ran() != 1 {
			t.Fatalf("the check ran %d times; want once, which told nothing", e.ran())
		}
		if err := e.call(domain.Success); err != nil {
			t.Errorf("nobody is elected, and a call is no probe: %v", err)
		}
		synctest.Wait()
		e.wantFleet(domain.StateClosed)
	})
}

// A replica that refuses its own calls, for it has trouble of its own, leaves it to another
// to check.
func TestTheElectedOneIsInTrouble(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		all := w.examiners(t, 3, domain.CircuitBreaker{SuccessThreshold: 1})
		meet(nodesOf(all)...)
		ill := all[0]
		ill.calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		time.Sleep(30 * time.Second)
		ill.calls(1, domain.LocalFailure) // open for a minute now
		trip(nodesOf(all[1:])...)
		for _, e := range all[1:] {
			e.locks.faults.set(isBroken) // the ill one is elected
		}
		for ill.locks.given.Load() == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		for _, e := range all[1:] {
			e.locks.faults.set(nil)
		}
		time.Sleep(12 * time.Second)
		all[1].wantFleet(domain.StateClosed)
		if ran := ranOn(all); ran[0] != 0 || sum(ran) == 0 {
			t.Errorf("the checks ran %v times", ran)
		}
	})
}

// While an operator decides no check runs, and nobody is elected; when that is over, one
// recovers the breaker. Where it only measures, checks go on.
func TestChecksAndOperators(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		all := w.examiners(t, 2, domain.CircuitBreaker{RecoveryTimeout: 10 * time.Second})
		trip(nodesOf(all)...)
		for _, force := range []domain.Force{domain.ForceOpen, domain.ForceClosed, domain.ForceDisabled} {
			w.force(force, time.Minute)
			synctest.Wait()
			before := all[0].locks.asked.Load() + all[1].locks.asked.Load()
			busy(all, 30*time.Second)
			if n := all[0].locks.asked.Load() + all[1].locks.asked.Load() - before; n != 0 {
				t.Errorf("%s: the locks were asked %d times", force, n)
			}
			if n := sum(ranOn(all)); n != 0 {
				t.Fatalf("%s: the check ran %d times", force, n)
			}
		}
		w.force(domain.ForceMetricsOnly, 10*time.Second)
		busy(all, 20*time.Second)
		if n := sum(ranOn(all)); n == 0 || n > 20 {
			t.Errorf("metrics only: the check ran %d times", n)
		}
		for _, e := range all {
			e.wantFleet(domain.StateClosed)
		}

		trip(nodesOf(all)...)
		before := sum(ranOn(all))
		w.force(domain.ForceOpen, 15*time.Second)
		time.Sleep(40 * time.Second) // nobody calls
		if n := sum(ranOn(all)); n == before {
			t.Error("after the override no check ran")
		}
		for _, e := range all {
			e.wantFleet(domain.StateClosed)
		}
	})
}
