package operate_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/operate"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

var errDown = errors.New("down")

// A shop is a fleet of two replicas that call payments, and its operator's desk.
type shop struct {
	t      *testing.T
	desk   *operate.Desk
	guards [2]*orchestrator.Guard
}

var payments = port.ID{Name: "payments"}

func newShop(t *testing.T) *shop {
	t.Helper()
	stores := memory.New(memory.Options{}).Stores()
	desk, err := operate.New(stores, "ann@desk")
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, desk: desk}
	for i := range s.guards {
		orch, err := orchestrator.New(stores, orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = orch.Close(context.Background()) })
		if s.guards[i], err = orch.Guard("payments", domain.CircuitBreaker{}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// call makes so many calls by each replica, and says how many were let through.
func (s *shop) call(count int, err error) (passed int) {
	s.t.Helper()
	for range count {
		for _, g := range s.guards {
			_ = orchestrator.Run(s.t.Context(), g, func(context.Context) error {
				passed++
				return err
			})
		}
	}
	synctest.Wait()
	return passed
}

// TestAnOperatorsDay is the whole of it: look, force, end it, see what happened.
func TestAnOperatorsDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		ctx := t.Context()
		if got, err := s.desk.Status(ctx); err != nil || len(got) != 0 {
			t.Errorf("Status before the first call: %+v, %v", got, err)
		}
		s.call(1, nil)
		time.Sleep(3 * time.Second)
		s.call(5, errDown)
		got, err := s.desk.Status(ctx)
		if err != nil || len(got) != 1 || got[0].Breaker != payments || got[0].View.State != domain.StateOpen {
			t.Fatalf("Status = %+v, %v; want payments open", got, err)
		}
		if passed := s.call(5, nil); passed != 0 {
			t.Errorf("%d calls passed the open breaker", passed)
		}

		if err := s.desk.Override(ctx, payments, domain.Override{Force: domain.ForceClosed, For: time.Minute, Reason: "a false alarm"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if passed := s.call(5, nil); passed != 10 {
			t.Errorf("%d of 10 calls passed what was forced closed", passed)
		}
		if got, _ := s.desk.Status(ctx, payments); got[0].View.Order.By != "ann@desk" || got[0].View.Order.Force != domain.ForceClosed {
			t.Errorf("Status = %+v; want the order in it", got)
		}
		if err := s.desk.Reset(ctx, payments, "sure of it"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if passed := s.call(5, nil); passed != 10 {
			t.Errorf("%d of 10 calls passed after a reset", passed)
		}
		events, err := s.desk.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []breaker.RecordKind
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		want := []breaker.RecordKind{breaker.RecordOrder, breaker.RecordOrder, breaker.RecordTurn, breaker.RecordVote, breaker.RecordVote}
		if len(kinds) != len(want) {
			t.Fatalf("events of %v; want %v", kinds, want)
		}
		for i := range want {
			if kinds[i] != want[i] || i > 0 && events[i].AtMicro > events[i-1].AtMicro {
				t.Fatalf("events of %v; want %v, the newest first", kinds, want)
			}
		}
	})
}

// TestLookingWritesNothing: of a breaker that is not there nothing is left behind.
func TestLookingWritesNothing(t *testing.T) {
	t.Parallel()
	desk, err := operate.New(memory.New(memory.Options{}).Stores(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if got, err := desk.Status(ctx, payments); err != nil || got[0].View != (port.View{}) {
		t.Errorf("Status = %+v, %v", got, err)
	}
	if got, err := desk.Explain(ctx, payments); err != nil || got.View != (breaker.View{}) {
		t.Errorf("Explain = %+v, %v", got, err)
	}
	if got, err := desk.Events(ctx, payments); err != nil || len(got) > 0 {
		t.Errorf("Events = %+v, %v", got, err)
	}
	if got, err := desk.Status(ctx); err != nil || len(got) > 0 {
		t.Errorf("afterwards there is %+v, %v", got, err)
	}
}

// TestBadOrdersChangeNothing: each is refused, and says what is wrong.
func TestBadOrdersChangeNothing(t *testing.T) {
	t.Parallel()
	stores := memory.New(memory.Options{}).Stores()
	desk, err := operate.New(stores, "ann")
	if err != nil {
		t.Fatal(err)
	}
	good := domain.Override{Force: domain.ForceOpen, For: time.Minute, Reason: "a drill"}
	for field, err := range map[string]error{
		"no time":     desk.Override(t.Context(), payments, domain.Override{Force: domain.ForceOpen, Reason: "a drill"}),
		"no reason":   desk.Override(t.Context(), payments, domain.Override{Force: domain.ForceOpen, For: time.Minute}),
		"no name":     desk.Override(t.Context(), port.ID{}, good),
		"an odd name": desk.Override(t.Context(), port.ID{Name: "a b"}, good),
		"no why":      desk.Reset(t.Context(), payments, ""),
		"an odd why":  desk.Reset(t.Context(), payments, "\x1b[2J"),
	} {
		if !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("%s: %v; want an invalid policy", field, err)
		}
	}
	if _, err := operate.New(stores, ""); !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Errorf("a desk of nobody: %v", err)
	}
	if _, err := operate.New(port.Stores{}, "ann"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a desk without a store: %v", err)
	}
	if got, err := desk.Status(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("afterwards there is %+v, %v", got, err)
	}
}

// TestWhy: a sentence for each way to be.
func TestWhy(t *testing.T) {
	t.Parallel()
	rules, err := breaker.Compile(domain.CircuitBreaker{})
	if err != nil {
		t.Fatal(err)
	}
	order := breaker.Order{Serial: 1, Force: domain.ForceOpen, ForMicro: 60_000_000, By: "ann", Reason: "a drill"}
	over := order
	over.ForMicro = 0
	for want, s := range map[string]breaker.Snapshot{
		"no replica has reported yet":                  {},
		"ann forced it open for another 1m0s: a drill": {View: breaker.View{Order: order}},
		"enough replicas said it is bad; a call may probe in 2.5s": {
			View: breaker.View{Epoch: 1, State: domain.StateOpen, ForMicro: 2_500_000, Order: over},
		},
		"its probes failed, 2 times in a row; the next call may probe": {
			View: breaker.View{Epoch: 1, State: domain.StateOpen}, Growth: 2,
		},
		"of 3 replicas that asked for a probe 1 saw a success and 1 a failure; it closes after 2 successes": {
			View: breaker.View{Epoch: 1, State: domain.StateHalfOpen}, Rules: rules,
			Probers: []breaker.Prober{{Succeeded: true}, {Failed: true}, {}},
		},
		"1 replica is bad, with a weight of 0.500; it opens at 2 with a weight of 3.001": {
			View: breaker.View{Epoch: 1}, Rules: rules, Bad: 1, BadWeight: 500, AllWeight: 6001,
		},
		"0 replicas are bad, with a weight of 0.000; it opens at 2 with a weight of 2.000": {
			View: breaker.View{Epoch: 1}, Rules: rules, AllWeight: 1000,
		},
		"1 replica is bad, with a weight of 1.000; it opens at 2 with a weight of 2.000; the own layer of 2 replicas is open, which counts for nothing here": {
			View: breaker.View{Epoch: 1}, Rules: rules, Bad: 1, BadWeight: 1000, AllWeight: 2000,
			Votes: []breaker.Vote{{Bad: true, Open: true, Weight: 1000}, {Open: true}, {Weight: 1000}, {Open: true}},
		},
	} {
		if got := operate.Why(s); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
