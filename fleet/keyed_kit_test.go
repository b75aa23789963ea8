package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A keyedRig is a replica with a keyed breaker, and what it told.
type keyedRig struct {
	tb      testing.TB
	replica *fleet.Replica
	breaker *fleet.KeyedBreaker

	mu     sync.Mutex
	events []domain.Event
}

// joinKeyed is a replica with a store of its own.
func joinKeyed(tb testing.TB, p domain.CircuitBreaker) *keyedRig {
	tb.Helper()
	return joinKeyedOn(tb, memory.New(memory.Options{}).Stores(), p)
}

// joinKeyedOn is a replica of a fleet. The policy is called "cells" and Keyed.
func joinKeyedOn(tb testing.TB, stores port.Stores, p domain.CircuitBreaker) *keyedRig {
	tb.Helper()
	leaktest.Check(tb)
	rig := &keyedRig{tb: tb}
	c := fleet.Config{OnEvent: rig.heard}
	if p.Sharing == domain.ShareDefault {
		c = c.WithRandom(still{}) // which staggers nothing: trips last exactly as long as they say
	}
	r, err := fleet.Join(stores, c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	})
	p.Name, p.Keyed = "cells", true
	k, err := r.KeyedBreaker(p)
	if err != nil {
		tb.Fatal(err)
	}
	rig.replica, rig.breaker = r, k
	return rig
}

func (r *keyedRig) heard(e domain.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// told takes what was told since the last time, of some kinds, a line each.
func (r *keyedRig) told(kinds ...domain.EventKind) (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		line := e.Kind.String()
		if e.Kind == domain.EventBreaker {
			line = fmt.Sprintf("%s %s: %s to %s", e.Scope, e.Key, e.From, e.To)
		}
		if e.Reason != "" {
			line += ": " + e.Reason
		}
		lines = append(lines, line)
	}
	r.events = nil
	return lines
}

// wantTold checks that, after what is under way has ended.
func (r *keyedRig) wantTold(kinds []domain.EventKind, want ...string) {
	r.tb.Helper()
	if got := r.told(kinds...); !slices.Equal(got, want) {
		r.tb.Errorf("it told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// admit lets one call of a key through, which has to be let through.
func (r *keyedRig) admit(key string) fleet.Permit {
	r.tb.Helper()
	p, err := r.breaker.Acquire(r.tb.Context(), key)
	if err != nil {
		r.tb.Fatalf("key %.20q: %v; want it let through", key, err)
	}
	return p
}

// call makes one call of each key.
func (r *keyedRig) call(o domain.Outcome, keys ...string) {
	r.tb.Helper()
	for _, key := range keys {
		r.admit(key).Report(o)
	}
}

// refuse asks for a call of a key, which has to be refused for that long.
func (r *keyedRig) refuse(key string, retryAfter time.Duration) {
	r.tb.Helper()
	p, err := r.breaker.Acquire(r.tb.Context(), key)
	open, is := errors.AsType[*domain.CircuitOpenError](err)
	if !is || open.Name != "cells" || open.Key != key || open.RetryAfter != retryAfter || p != (fleet.Permit{}) {
		r.tb.Fatalf("key %.20q: %v; want it refused for %v", key, err, retryAfter)
	}
}

// wantState checks the state of keys; none is what has no breaker.
func (r *keyedRig) wantState(want string, keys ...string) {
	r.tb.Helper()
	for _, key := range keys {
		got := "none"
		if s, known := r.breaker.Status(key); known {
			got = s.State.String()
		}
		if got != want {
			r.tb.Errorf("key %.20q is %s; want %s", key, got, want)
		}
	}
}

// wantKeys checks how many keys were called lately, and how many of those are open.
func (r *keyedRig) wantKeys(called, open int) {
	r.tb.Helper()
	if k := r.breaker.Keys(); k.Called != called || k.Open != open {
		r.tb.Errorf("%d keys were called and %d are open; want %d and %d", k.Called, k.Open, called, open)
	}
}

func names(prefix string, n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("%s%d", prefix, i))
	}
	return keys
}

// still is no chance at all.
type still struct{}

func (still) Uint64() uint64 { return 0 }
