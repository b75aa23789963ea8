package holdfast_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/storetest"
)

// A shelf is the smallest store that keeps limits: the rules are all in package bucket,
// and a store keeps their state and gives them its clock. docs/stores.md explains it.
type shelf struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[port.ID]*bucket.State
}

func newShelf(now func() time.Time) *shelf {
	return &shelf{now: now, buckets: make(map[port.ID]*bucket.State)}
}

// Take implements port.BucketStore.
func (s *shelf) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().UnixMicro()
	for i := range in {
		if err := context.Cause(ctx); err != nil {
			out[i] = port.TakeReply{Err: &hold.StoreError{Op: "bucket take", Name: in[i].Bucket.Name, Err: err}}
			continue
		}
		out[i] = s.decide(now, &in[i])
	}
}

// decide has the rules answer one request.
func (s *shelf) decide(now int64, r *port.TakeRequest) port.TakeReply {
	state := s.buckets[r.Bucket]
	if state == nil {
		state = &bucket.State{} // of a bucket that nobody has used
		s.buckets[r.Bucket] = state
	}
	var a bucket.Answer
	foreign := state.DecideOne(now, &r.Rule, r.Manner, &r.Ask, &a)
	reply := port.TakeReply{Granted: a.Granted, Remaining: a.Remaining, Band: a.Band, Foreign: foreign}
	if a.RetryMicro == bucket.Never {
		reply.TooHigh = true
	} else {
		reply.RetryAfter = time.Duration(a.RetryMicro) * time.Microsecond
	}
	if now-state.AtMicro >= state.FullMicro() {
		delete(s.buckets, r.Bucket) // full again, it is as good as none
	}
	return reply
}

// Stores are the ports that a shelf has. A policy that needs another one is refused when
// its guard is made.
func (s *shelf) Stores() port.Stores { return port.Stores{Buckets: s} }

// TestOwnStore is all that a store's author has to write to know that it keeps what the
// ports promise.
func TestOwnStore(t *testing.T) {
	storetest.TestAll(t, func(_ *testing.T, now func() time.Time) port.Stores { return newShelf(now).Stores() })
}

// Any store will do that passes the suite of package storetest: here, one of 40 lines.
func Example_ownStore() {
	ctx := context.Background()
	orch, err := orchestrator.New(newShelf(time.Now).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(ctx) }()
	limit, err := orch.Limiter(hold.RateLimit{Name: "sms", Limit: hold.PerHour(1)})
	if err != nil {
		panic(err)
	}
	for range 2 {
		d, err := limit.Allow(ctx, "")
		fmt.Println(d.Allowed, err)
	}
	_, err = orch.Breaker(hold.CircuitBreaker{Name: "partner"})
	fmt.Println(err)
	// Output:
	// true <nil>
	// false <nil>
	// invalid policy: circuit_breaker.Sharing needs a store with breakers, or ShareLocal
}
