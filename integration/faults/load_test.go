package faults

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// The load under which times are measured: callers of one limit, and how often
// each of them calls.
const (
	callers = 4
	pace    = 20 * time.Millisecond
)

// A made is one call, and what came of it.
type made struct {
	at   time.Time
	took time.Duration
	d    domain.Decision
	err  error
}

// A load is callers that call until they are stopped. What the machine itself
// adds to a time is measured beside them, by a timer that nothing else holds up.
type load struct {
	stopped chan struct{}
	all     sync.WaitGroup

	mu    sync.Mutex
	calls []made
	late  time.Duration // the machine's own, at worst
}

// startLoad lets callers call. stop has to be called.
func startLoad(limits ...*fleet.Limiter) *load {
	l := &load{stopped: make(chan struct{})}
	for _, limit := range limits {
		for range callers {
			l.all.Go(func() { l.keepCalling(limit) })
		}
	}
	l.all.Go(l.measureLateness)
	return l
}

func (l *load) keepCalling(limit *fleet.Limiter) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-l.stopped:
			return
		case <-tick.C:
		}
		call := made{at: time.Now()}
		call.d, call.err = limit.Allow(context.Background(), "")
		call.took = time.Since(call.at)
		l.mu.Lock()
		l.calls = append(l.calls, call)
		l.mu.Unlock()
	}
}

func (l *load) measureLateness() {
	for {
		start, timer := time.Now(), time.NewTimer(pace)
		select {
		case <-l.stopped:
			timer.Stop()
			return
		case <-timer.C:
			l.mu.Lock()
			l.late = max(l.late, time.Since(start)-pace)
			l.mu.Unlock()
		}
	}
}

// stop ends the load and returns what was made.
func (l *load) stop() []made {
	select {
	case <-l.stopped:
	default:
		close(l.stopped)
	}
	l.all.Wait()
	return l.calls
}

// lateness is how late the machine itself has been so far, at worst.
func (l *load) lateness() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.late
}

// between are the calls that began and ended in a span.
func between(calls []made, from, to time.Time) (in []made) {
	for _, c := range calls {
		if !c.at.Before(from) && !c.at.Add(c.took).After(to) {
			in = append(in, c)
		}
	}
	return in
}

// wantInTime asserts that calls returned within StoreTimeout + 10 ms at p99 and
// + 50 ms at worst.
func (l *load) wantInTime(t *testing.T, calls []made) {
	t.Helper()
	took := make([]time.Duration, len(calls))
	for i, c := range calls {
		took[i] = c.took
	}
	slices.Sort(took)
	if len(took) == 0 {
		t.Error("no calls were made")
		return
	}
	p99, worst := took[len(took)*99/100], took[len(took)-1]
	t.Logf("%d calls: p50 %v, p99 %v, worst %v; the machine was %v late at worst", len(took), took[len(took)/2], p99, worst, l.late)
	if bound := fleet.DefaultStoreTimeout + 10*time.Millisecond + l.late; p99 > bound {
		t.Errorf("p99 = %v; want %v at most", p99, bound)
	}
	if bound := fleet.DefaultStoreTimeout + 50*time.Millisecond + l.late; worst > bound {
		t.Errorf("the worst call took %v; want %v at most", worst, bound)
	}
}
