package orchestrator

import (
	"context"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// Bypass returns an Orchestrator that runs every function bare: once, in the
// caller's context, with no retry, no limit, no observer. Policies are checked
// all the same. It is for tests of what is inside a guard, and for switching
// protection off. Its guards make no breakers, limits and bulkheads; those made by
// Limiter, Breaker and Bulkhead admit everything and never open.
func Bypass() *Orchestrator {
	o, err := New(port.Stores{Buckets: admitAll{}}, Config{})
	if err != nil {
		panic(err) // the zero Config is valid
	}
	o.bare = true
	return o
}

// neverFull is p with more room than any process can use.
func neverFull(p domain.Bulkhead) domain.Bulkhead {
	p.MaxConcurrent, p.Fleet = domain.MaxConcurrentCalls, false
	return p
}

// neverOpen is p with limits that no process reaches.
func neverOpen(p domain.CircuitBreaker) domain.CircuitBreaker {
	p.FailureThreshold, p.FailureRatio, p.SlowRatio, p.SlowAfter, p.Sharing = 1<<31, 0, 0, 0, domain.ShareLocal
	return p
}

// admitAll is a store in which no bucket is ever empty.
type admitAll struct{}

func (admitAll) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := range in {
		out[i] = admitAll{}.answer(in[i].Ask)
	}
}

// Lends, Obeys and Queues say that no kind of limit is refused.
func (admitAll) Lends()  {}
func (admitAll) Obeys()  {}
func (admitAll) Queues() {}

// Bind makes it a port.Binder, so that the limiters have nothing to wait for.
func (admitAll) Bind(port.ID, bucket.Rule, bucket.Manner) port.BoundBucket { return boundAdmitAll{} }

var _ port.Binder = admitAll{}

func (admitAll) answer(ask bucket.Ask) port.TakeReply { return port.TakeReply{Granted: ask.Count} }

type boundAdmitAll struct{}

func (boundAdmitAll) Take(ask bucket.Ask) port.TakeReply { return admitAll{}.answer(ask) }
