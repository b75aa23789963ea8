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
// protection off. Its guards make no breakers and limits; those made by Limiter
// and Breaker admit everything and never open.
func Bypass() *Orchestrator {
	o, err := New(port.Stores{Buckets: admitAll{}}, Config{})
	if err != nil {
		panic(err) // the zero Config is valid
	}
	o.bare = true
	return o
}

// neverOpen is p with limits that no process reaches.
func neverOpen(p domain.CircuitBreaker) domain.CircuitBreaker {
	p.FailureThreshold, p.FailureRatio, p.Sharing = 1<<31, 0, domain.ShareLocal
	return p
}

// admitAll is a store in which no bucket is ever empty.
type admitAll struct{}

func (admitAll) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := range in {
		out[i] = admitAll{}.answer(in[i].Ask)
	}
}

// Bind makes it a port.Binder, so that the limiters have nothing to wait for.
func (admitAll) Bind(port.ID, bucket.Rule) port.BoundBucket { return boundAdmitAll{} }

func (admitAll) answer(ask bucket.Ask) port.TakeReply { return port.TakeReply{Granted: ask.Count} }

type boundAdmitAll struct{}

func (boundAdmitAll) Take(ask bucket.Ask) port.TakeReply { return admitAll{}.answer(ask) }
