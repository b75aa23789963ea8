package orchestrator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A stuck store takes questions and does not answer.
type stuck struct{}

func (stuck) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	<-ctx.Done()
	for i := range in {
		out[i] = port.TakeReply{Err: &hold.StoreError{Op: "bucket take", Name: in[i].Bucket.Name, Err: ctx.Err()}}
	}
}

// stuckViews do not even say what state a breaker is in.
type stuckViews struct{ port.ViewSource }

func (stuckViews) Read(ctx context.Context, in []port.ID, out []port.View) {
	<-ctx.Done()
	for i := range in {
		out[i] = port.View{Err: &hold.StoreError{Op: "breaker read", Name: in[i].Name, Err: ctx.Err()}}
	}
}

func newStuck(t *testing.T, c orchestrator.Config) *orchestrator.Orchestrator {
	t.Helper()
	stores := memory.New(memory.Options{}).Stores()
	stores.Buckets = stuck{}
	return newOn(t, stores, c)
}

func newOn(t *testing.T, stores port.Stores, c orchestrator.Config) *orchestrator.Orchestrator {
	t.Helper()
	leaktest.Check(t)
	o, err := orchestrator.New(stores, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return o
}

// TestOneStoreTimeoutPerCall: all limits, breakers and attempts of a call
// together wait for the store for one StoreTimeout.
func TestOneStoreTimeoutPerCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newStuck(t, orchestrator.Config{Fleet: fleet.Config{StoreTimeout: 100 * time.Millisecond}})
		limit := func(name string) hold.RateLimit {
			return hold.RateLimit{Name: name, Limit: hold.PerSecond(1), Outage: hold.OutageOpen}
		}
		g := newGuard(t, o, "g", hold.Combine(exactly(3, time.Second), limit("a"), limit("b"), hold.CircuitBreaker{}, limit("c")))
		start, b := time.Now(), failing(errBackend)
		_, err := orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 3)
		wantIs(t, err, errBackend)
		wantElapsed(t, start, 2*time.Second+100*time.Millisecond)
	})
}

// TestOneStoreTimeoutForAllBreakers: the first call reads what state they are
// in, and the first of them has waited for as long as the call may.
func TestOneStoreTimeoutForAllBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		stores.Views = stuckViews{stores.Views}
		o := newOn(t, stores, orchestrator.Config{Fleet: fleet.Config{StoreTimeout: 100 * time.Millisecond}})
		breaker := func(name string) hold.CircuitBreaker { return hold.CircuitBreaker{Name: name} }
		g := newGuard(t, o, "g", hold.Combine(breaker("a"), breaker("b"), breaker("c")))
		start := time.Now()
		if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
			t.Error(err)
		}
		wantElapsed(t, start, 100*time.Millisecond)
	})
}

// TestStoreThatCannotDecide: a limit that is closed in an outage refuses with
// the store's error, which no breaker counts.
func TestStoreThatCannotDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &notebook{}
		o := newStuck(t, orchestrator.Config{Observer: book})
		limit := hold.RateLimit{Name: "l", Limit: hold.PerSecond(1), Outage: hold.OutageClosed}
		g := newGuard(t, o, "g", hold.Combine(tripping(1), limit))
		for range 5 {
			b := failing(nil)
			_, err := orchestrator.Do(t.Context(), g, b.call)
			b.wants(t, 0)
			wantIs(t, err, hold.ErrStoreUnavailable)
		}
		wantClosed(t, o, "g", 0, 0)
		if s := book.ended[0]; s.RefusedBy != orchestrator.PartLimit || s.RefusedName != "l" || s.Outcome != hold.Ignored {
			t.Errorf("summary %+v", s)
		}
	})
}

// TestEndWhileTheStoreIsAsked: whose context ends then gets that as its error;
// nobody refused, and nothing says anything about the dependency.
func TestEndWhileTheStoreIsAsked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		cancel bool
		want   error
	}{
		{"a caller", hold.None{}, true, context.Canceled},
		{"a timeout", hold.Timeout{Duration: 20 * time.Millisecond}, false, hold.ErrTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &notebook{}
				o := newStuck(t, orchestrator.Config{Observer: book})
				g := newGuard(t, o, "g", hold.Combine(tripping(1), tt.policy, hold.RateLimit{Limit: hold.PerSecond(1)}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel {
					time.AfterFunc(20*time.Millisecond, cancel)
				}
				start, b := time.Now(), failing(nil)
				_, err := orchestrator.Do(ctx, g, b.call)
				b.wants(t, 0)
				// A lone caller asks the store itself, and so waits for that to end.
				if took := time.Since(start); took > fleet.DefaultStoreTimeout {
					t.Errorf("it took %s; want a StoreTimeout at most", took)
				}
				wantIs(t, err, tt.want)
				wantIsNot(t, err, hold.ErrRateLimited, hold.ErrStoreUnavailable)
				wantClosed(t, o, "g", 0, 0)
				if s := book.ended[0]; s.RefusedBy != orchestrator.PartNone || s.Outcome != hold.Ignored || s.Attempts != 0 {
					t.Errorf("summary %+v", s)
				}
			})
		})
	}
}
