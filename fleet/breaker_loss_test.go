package fleet_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// TestCase52LostWhileClosed: calls go on without an error, the epoch grows, each
// replica tells the loss once, and the votes that were lost are given again.
func TestCase52LostWhileClosed(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		meet(nodes...)
		nodes[0].calls(domain.DefaultFailureThreshold, domain.Failure) // the first of two votes
		synctest.Wait()
		before := w.view()
		w.flush()
		time.Sleep(2 * time.Second)
		for _, n := range nodes[1:] {
			if err := n.call(domain.Success); err != nil {
				t.Errorf("after a loss: %v", err)
			}
		}
		after := w.view()
		if after.Epoch <= before.Epoch || after.State != domain.StateClosed || !after.Fresh {
			t.Errorf("from %+v to %+v; want a fresh closed one with a higher epoch", before, after)
		}
		for i, n := range nodes {
			if got := n.count(domain.EventLost); got != 1 {
				t.Errorf("replica %d told the loss %d times", i, got)
			}
			if s := n.Status(); s.Epoch != after.Epoch {
				t.Errorf("replica %d: %+v; want epoch %d", i, s, after.Epoch)
			}
			n.wantEvents()
		}
		nodes[1].calls(domain.DefaultFailureThreshold, domain.Failure) // the second: the first is not forgotten
		synctest.Wait()
		for _, n := range nodes {
			n.wantState(domain.StateOpen, domain.ScopeFleet)
		}
	})
}

// TestCase52LostWhileOpen: the replicas that saw it open stay so up to the known
// end and a little, each in its own time, then probe alone; one that knew nothing
// meets a fresh closed breaker.
func TestCase52LostWhileOpen(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(20, domain.CircuitBreaker{})
		trip(nodes...)
		start := time.Now()
		time.Sleep(10 * time.Second)
		before := w.view()
		w.flush()
		stranger := w.node(domain.CircuitBreaker{})
		for range 190 { // to just before the known end
			for i, n := range nodes {
				if err := n.call(domain.Success); err == nil {
					t.Fatalf("replica %d let a call through %s after it opened", i, time.Since(start))
				}
			}
			if err := stranger.call(domain.Success); err != nil {
				t.Fatalf("one that knew nothing: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if after := w.view(); after.Epoch <= before.Epoch || after.State != domain.StateClosed {
			t.Errorf("from %+v to %+v; want a fresh closed one", before, after)
		}
		time.Sleep(time.Until(start.Add(30 * time.Second)))
		first := make(map[time.Duration]int)
		for open := slices.Clone(nodes); len(open) > 0 && time.Since(start) < 40*time.Second; time.Sleep(50 * time.Millisecond) {
			open = slices.DeleteFunc(open, func(n *node) bool {
				if permit, err := n.Acquire(t.Context()); err == nil {
					if refused := n.call(domain.Success); refused == nil {
						t.Error("a second call beside the probe")
					}
					permit.Report(domain.Success)
					first[time.Since(start).Truncate(50*time.Millisecond)]++
					return true
				}
				return false
			})
		}
		total := 0
		for at, n := range first {
			total += n
			if at > 34*time.Second || n > 5 {
				t.Errorf("%d probes %s after it opened", n, at)
			}
		}
		if total != len(nodes) {
			t.Errorf("%d of %d replicas probed within 3 s of the known end", total, len(nodes))
		}
		for i, n := range nodes {
			n.calls(1, domain.Success)
			n.wantState(domain.StateClosed, domain.ScopeReplica)
			n.wantEvents()
			if got := n.count(domain.EventLost); got != 1 {
				t.Errorf("replica %d told the loss %d times", i, got)
			}
		}
	})
}

// TestCase52LostWhileHalfOpen: what was not closed does not read as closed; and
// results of the lost epoch are void.
func TestCase52LostWhileHalfOpen(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{SuccessThreshold: 1})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		probe := nodes[0].patient()
		time.Sleep(time.Microsecond) // no server is flushed in the same µs; epochs are not apart then
		w.flush()
		probe.Report(domain.Success)
		time.Sleep(time.Second)
		if v := w.view(); v.State != domain.StateClosed || !v.Fresh || w.results(domain.Success) != 0 {
			t.Errorf("%+v; want a fresh closed one, and the result void", v)
		}
		for _, n := range nodes {
			if n.Status().Local != domain.StateOpen {
				t.Errorf("%+v; want its own layer open for a moment", n.Status())
			}
			n.patient().Report(domain.Success)
			if took := n.Status(); took.State != domain.StateClosed {
				t.Errorf("%+v after one success", took)
			}
			n.wantEvents()
		}
	})
}

// TestHoldingOpenIsNoVote: replicas that were well all the time, and hold their
// layer open because the fleet's state was lost, do not open the fleet by that.
func TestHoldingOpenIsNoVote(t *testing.T) {
	inEachWorld(t, func(_ *testing.T, w *world) {
		nodes := w.nodes(5, domain.CircuitBreaker{Quorum: 0.2})
		for range 50 {
			for _, n := range nodes {
				_ = n.call(domain.Success)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, n := range nodes[:2] {
			n.calls(domain.DefaultFailureThreshold, domain.Failure)
		}
		synctest.Wait()
		nodes[4].wantFleet(domain.StateOpen)
		w.flush()
		for range 50 {
			for _, n := range nodes {
				_ = n.call(domain.Success)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, n := range nodes {
			n.wantState(domain.StateOpen, domain.ScopeReplica)
			n.wantFleet(domain.StateClosed)
		}
	})
}

// TestLossDoesNotShortenAnOwnTrip: a replica that is in trouble for longer than
// the fleet was to be open stays so.
func TestLossDoesNotShortenAnOwnTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{})
		meet(nodes...)
		own := nodes[2]
		own.calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		time.Sleep(30 * time.Second)
		own.patient().Report(domain.LocalFailure) // for a minute now
		trip(nodes[:2]...)
		own.wantFleet(domain.StateOpen)
		w.flush()
		for range 500 {
			if err := own.call(domain.LocalFailure); err == nil {
				t.Fatal("a call passed before the minute was over")
			}
			time.Sleep(100 * time.Millisecond)
		}
		own.wantFleet(domain.StateClosed)
	})
}

// TestLostWhileCutOff: a replica that lost the store first, and then learns that
// the store lost its state, keeps what it learnt alone.
func TestLostWhileCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(2, domain.CircuitBreaker{})
		trip(nodes...)
		nodes[0].line.set(refusing)
		time.Sleep(30 * time.Second)
		nodes[0].patient().Report(domain.Failure) // by itself: the store cannot be asked
		nodes[0].wantState(domain.StateOpen, domain.ScopeReplica)
		w.flush()
		nodes[0].line.set(healthy)
		for range 250 {
			if err := nodes[0].call(domain.Success); err == nil {
				t.Fatal("a call passed while its own layer is open: the loss was a stampede")
			}
			time.Sleep(100 * time.Millisecond)
		}
		nodes[0].wantFleet(domain.StateClosed)
		nodes[0].wantEvents()
	})
}

// TestAheadIsForgotten: a replica that claims to know an epoch of a later day, for
// the store's clock was mended, is refused, forgets it and takes part again.
func TestAheadIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(2, domain.CircuitBreaker{})
		meet(nodes...)
		future := make(chan port.View)
		confused, err := fleet.Join(port.Stores{Breakers: nodes[0].line, Views: pusher{nodes[0].line, future}}, fleet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer confused.Close(context.Background())
		b, err := confused.Breaker(domain.CircuitBreaker{Name: breakerName})
		if err != nil {
			t.Fatal(err)
		}
		call := func(o domain.Outcome) {
			permit, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			permit.Report(o)
		}
		call(domain.Success)
		time.Sleep(3 * time.Second)
		future <- port.View{Epoch: uint64(time.Now().Add(48 * time.Hour).UnixMicro()), State: domain.StateClosed}
		synctest.Wait()
		call(domain.Success)
		time.Sleep(4 * time.Second)
		if v := w.view(); b.Status().Epoch != v.Epoch || v.Fresh != true || len(w.history()) != 1 {
			t.Errorf("it knows %+v of %+v", b.Status(), v)
		}
		for range domain.DefaultFailureThreshold {
			call(domain.Failure)
		}
		nodes[1].calls(domain.DefaultFailureThreshold, domain.Failure)
		synctest.Wait()
		if v := w.view(); v.State != domain.StateOpen {
			t.Errorf("its vote does not count: %+v", v)
		}
	})
}

// TestCase54RestartsChangeNothing: replicas that come, look, call and go, while
// the fleet is closed, open or half-open, change nothing that is shared.
func TestCase54RestartsChangeNothing(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		for range 3 { // nothing is there yet: it stays so
			w.node(domain.CircuitBreaker{}).close()
			n := w.node(domain.CircuitBreaker{})
			n.Status()
			_, err := n.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n.close()
		}
		if v := w.view(); v != (port.View{}) {
			t.Fatalf("constructing made %+v", v)
		}
		nodes := w.nodes(2, domain.CircuitBreaker{})
		visit := func(state domain.State) {
			t.Helper()
			before := w.view()
			for range 5 {
				n := w.node(domain.CircuitBreaker{})
				_ = n.call(domain.Success)
				n.wantFleet(state)
				time.Sleep(50 * time.Millisecond)
				n.close()
			}
			if after := w.view(); after.Epoch != before.Epoch || after.State != state {
				t.Errorf("visitors changed %+v to %+v", before, after)
			}
		}
		meet(nodes...)
		visit(domain.StateClosed)
		trip(nodes...)
		visit(domain.StateOpen)
		time.Sleep(30 * time.Second)
		nodes[0].patient()
		visit(domain.StateHalfOpen)
	})
}

// TestCase51SkewedReplicas: no instant crosses a port, so that replicas whose
// clocks are hours apart behave the same. A bubble has one clock; a replica's own
// begins when it joins, and these join hours apart.
func TestCase51SkewedReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var nodes []*node
		for range 4 {
			nodes = append(nodes, w.node(domain.CircuitBreaker{}))
			time.Sleep(time.Hour + 123456*time.Nanosecond)
		}
		trip(nodes...)
		time.Sleep(29*time.Second + 999*time.Millisecond)
		for i, n := range nodes {
			n.wantFleet(domain.StateOpen)
			if err := n.call(domain.Success); err == nil {
				t.Errorf("replica %d: too early", i)
			}
		}
		time.Sleep(time.Millisecond)
		var passed atomic.Int64
		for _, n := range nodes {
			go func() {
				if _, err := n.Acquire(context.Background()); err == nil {
					passed.Add(1)
				}
			}()
		}
		synctest.Wait()
		if passed.Load() != 1 {
			t.Errorf("%d probes", passed.Load())
		}
	})
}
