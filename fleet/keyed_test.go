package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/store/memory"
)

// What fails for one key stops no other, and refusals, events and looks say which key.
func TestKeysAreIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{FailureThreshold: 2, SuccessThreshold: 1})
		keys := []string{"a", "A", " ", "\x00", "a=b", "a#b", "%s%n", "{a}", strings.Repeat("x", 1000), strings.Repeat("x", 1000) + "y"}
		r.call(domain.Success, keys...)
		for i, key := range keys {
			r.call(domain.Failure, key, key)
			r.refuse(key, 30*time.Second)
			r.call(domain.Success, keys[i+1:]...)
			r.wantState("open", keys[:i+1]...)
			r.wantState("closed", keys[i+1:]...)
			synctest.Wait()
			r.wantTold([]domain.EventKind{domain.EventBreaker}, "replica "+key+": closed to open")
		}
		r.wantKeys(len(keys), len(keys))
		time.Sleep(30 * time.Second)
		r.call(domain.Success, "a")
		r.wantState("closed", "a")
		r.wantState("open", keys[1:]...)
		synctest.Wait()
		r.wantTold([]domain.EventKind{domain.EventBreaker}, "replica a: open to half-open", "replica a: half-open to closed")
		r.wantState("none", "b", "") // to look makes nothing
		if k := r.breaker.Keys(); k.Name != "cells" || k.Exceeded || k.Unprotected != 0 || len(k.Opened) != len(keys)-1 {
			t.Errorf("a look at it says %+v", k)
		}
		r.wantKeys(len(keys), len(keys)-1)
	})
}

// The log says which key, and warns where keys are too many.
func TestKeysAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leaktest.Check(t)
		var log bytes.Buffer
		r, err := fleet.Join(port.Stores{}, fleet.Config{ID: "r1", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		k, err := r.KeyedBreaker(domain.CircuitBreaker{Name: "cells", Keyed: true, MaxKeys: 1, FailureThreshold: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"a b", "c"} {
			p, err := k.Acquire(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			p.Report(domain.Failure)
		}
		synctest.Wait()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for _, want := range []string{
			`level=INFO msg="holdfast: breaker" replica=r1 name=cells key="a b" from=closed to=open`,
			`level=WARN msg="holdfast: keys full" replica=r1 name=cells reason=`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log is\n%swant a line with %s", log.String(), want)
			}
		}
	})
}

// A forgotten key is an error, never one breaker for all.
func TestAForgottenKeyOfABreaker(t *testing.T) {
	r := joinKeyed(t, domain.CircuitBreaker{})
	p, err := r.breaker.Acquire(t.Context(), "")
	if !errors.Is(err, domain.ErrKeyMissing) || !strings.Contains(err.Error(), `"cells"`) || p != (fleet.Permit{}) {
		t.Errorf("without a key: %v; want ErrKeyMissing, and of what", err)
	}
	r.wantKeys(0, 0)
}

func TestAcquireOfAKeyThatMustNotGoOn(t *testing.T) {
	r := joinKeyed(t, domain.CircuitBreaker{})
	r.call(domain.Success, "a")
	left := errors.New("left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(left)
	for _, key := range []string{"a", "b", ""} {
		if _, err := r.breaker.Acquire(ctx, key); !errors.Is(err, left) {
			t.Errorf("key %q: %v; want why the caller left", key, err)
		}
	}
	r.wantState("none", "b")
	held := r.admit("a")
	if err := r.replica.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	held.Report(domain.Success)
	for _, key := range []string{"a", "b"} {
		if _, err := r.breaker.Acquire(t.Context(), key); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("key %q: %v; want ErrClosed", key, err)
		}
	}
	r.wantKeys(0, 0)
	if kept := fleet.Kept(r.replica); kept["seats"] != 0 || kept["size of seats"] != 0 {
		t.Errorf("a closed replica keeps %v", kept)
	}
}

// A breaker either has keys or has none, whoever asks for it.
func TestKeyedOrNot(t *testing.T) {
	r := joinKeyed(t, domain.CircuitBreaker{})
	same := domain.CircuitBreaker{Name: "cells", Keyed: true}
	for _, tt := range []struct {
		name   string
		policy domain.CircuitBreaker
		want   error
	}{
		{"the same", same, nil},
		{"with what it has anyway", domain.CircuitBreaker{Name: "cells", Keyed: true, Sharing: domain.ShareLocal, MaxKeys: 1000}, nil},
		{"other numbers", domain.CircuitBreaker{Name: "cells", Keyed: true, MaxKeys: 10}, domain.ErrConflict},
		{"without keys", domain.CircuitBreaker{Name: "other"}, domain.ErrInvalidPolicy},
		{"without a name", domain.CircuitBreaker{Keyed: true}, domain.ErrInvalidPolicy},
		{"an invalid one", domain.CircuitBreaker{Name: "other", Keyed: true, MaxKeys: -1}, domain.ErrInvalidPolicy},
	} {
		k, err := r.replica.KeyedBreaker(tt.policy)
		if !errors.Is(err, tt.want) || (err == nil) != (k == r.breaker) {
			t.Errorf("%s: %v, %v; want %v", tt.name, k, err, tt.want)
		}
	}
	if _, err := r.replica.Breaker(domain.CircuitBreaker{Name: "cells"}); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("a breaker of the same name: %v; want ErrConflict", err)
	}
	if _, err := r.replica.Breaker(domain.CircuitBreaker{Name: "keyed", Keyed: true}); !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Errorf("a breaker for one key, with keys: %v; want ErrInvalidPolicy", err)
	}
	plain, err := r.replica.Breaker(domain.CircuitBreaker{Name: "plain", Sharing: domain.ShareLocal})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.replica.KeyedBreaker(domain.CircuitBreaker{Name: "plain", Keyed: true}); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("a keyed breaker of a name that is taken: %v; want ErrConflict", err)
	}
	if err := plain.Update(domain.CircuitBreaker{Name: "plain", Keyed: true}); !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Errorf("keys by an update: %v; want ErrInvalidPolicy", err)
	}
	if found, ok := r.replica.FindKeyedBreaker("cells"); !ok || found != r.breaker {
		t.Error("it is not found by its name")
	}
	if _, ok := r.replica.FindBreaker("cells"); ok {
		t.Error("it is found as a breaker without keys")
	}
}

// Without a store for breakers keys work as they are, but cannot be shared.
func TestKeysWithoutAStore(t *testing.T) {
	stores := port.Stores{Buckets: memory.New(memory.Options{}).Stores().Buckets}
	r := joinKeyedOn(t, stores, domain.CircuitBreaker{FailureThreshold: 1})
	r.call(domain.Failure, "a")
	if _, err := r.breaker.Acquire(t.Context(), "a"); !errors.Is(err, domain.ErrCircuitOpen) {
		t.Errorf("after a failure: %v; want it refused", err)
	}
	shared := domain.CircuitBreaker{Name: "shared", Keyed: true, Sharing: domain.ShareQuorum}
	if _, err := r.replica.KeyedBreaker(shared); !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Errorf("shared keys without a store: %v; want ErrInvalidPolicy", err)
	}
}

// Update gives all keys other numbers, those that are there and those to come, and keeps
// counts and states.
func TestUpdateOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{FailureThreshold: 3})
		r.call(domain.Failure, "a", "a", "open", "open", "open")
		update := func(p domain.CircuitBreaker) error {
			p.Name = "cells"
			return r.breaker.Update(p)
		}
		if err := update(domain.CircuitBreaker{Keyed: true, FailureThreshold: 4, MaxKeys: 3}); err != nil {
			t.Fatal(err)
		}
		if p := r.breaker.Policy(); p.FailureThreshold != 4 || p.MaxKeys != 3 || p.Sharing != domain.ShareLocal {
			t.Errorf("the policy is %v", p)
		}
		r.wantState("open", "open")
		r.call(domain.Failure, "a")
		r.wantState("closed", "a")
		r.call(domain.Failure, "a")
		r.wantState("open", "a")
		r.call(domain.Failure, "new", "new", "new")
		r.wantState("closed", "new")
		r.call(domain.Failure, "new", "another")
		r.wantState("open", "new")
		r.wantState("none", "another") // three are enough now
		for name, p := range map[string]domain.CircuitBreaker{
			"no keys":       {FailureThreshold: 4, Sharing: domain.ShareLocal},
			"sharing":       {Keyed: true, Sharing: domain.ShareQuorum},
			"an invalid":    {Keyed: true, MaxOpenShare: 2},
			"too few probe": {Keyed: true, Probes: -1},
		} {
			if err := update(p); !errors.Is(err, domain.ErrInvalidPolicy) {
				t.Errorf("%s: %v; want ErrInvalidPolicy", name, err)
			}
		}
		if err := r.breaker.Update(domain.CircuitBreaker{Name: "others", Keyed: true}); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("another name: %v; want ErrInvalidPolicy", err)
		}
		if p := r.breaker.Policy(); p.FailureThreshold != 4 {
			t.Errorf("a policy that was refused is in force: %v", p)
		}
	})
}

// An Update changes the share that may be open at once.
func TestUpdateOfTheCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{FailureThreshold: 1})
		r.call(domain.Failure, names("k", 4)...)
		r.call(domain.Success, names("w", 4)...)
		for _, u := range []struct {
			share    float64
			exceeded bool
		}{{0.5, false}, {0.49, true}, {0.5, false}, {0.1, true}, {0, false}} {
			p := domain.CircuitBreaker{Name: "cells", Keyed: true, FailureThreshold: 1, MaxOpenShare: u.share}
			if err := r.breaker.Update(p); err != nil {
				t.Fatal(err)
			}
			if got := r.breaker.Keys().Exceeded; got != u.exceeded {
				t.Errorf("4 of 8 are more than %v: %v", u.share, got)
			}
		}
		synctest.Wait()
		r.wantTold(shareEvents,
			"open share exceeded: 4 of 8 keys are open: they let probes through", "open share restored: 4 of 8 keys are open",
			"open share exceeded: 4 of 8 keys are open: they let probes through", "open share restored: 4 of 8 keys are open")
	})
}
