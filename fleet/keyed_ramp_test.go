package fleet_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// rampedKeys is a breaker whose keys each have a ramp of 30 s.
func rampedKeys() domain.CircuitBreaker {
	return domain.CircuitBreaker{Sharing: domain.ShareQuorum, Ramp: 30 * time.Second, RecoveryTimeout: 5 * time.Second}
}

// A pace is how often each replica calls a key.
type pace struct {
	key   string
	every int // ticks of 20 ms
}

// callKeys has each replica call each key at its pace for so long, and counts those of
// each that passed.
func callKeys(lasting time.Duration, rigs []*keyedRig, paces ...pace) (passed map[string]int) {
	passed = make(map[string]int)
	for tick := range int(lasting / (20 * time.Millisecond)) {
		for _, r := range rigs {
			for _, p := range paces {
				if tick%p.every == 0 && r.try(p.key, domain.Success) == nil {
					passed[p.key]++
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return passed
}

// recoverKeys trips the keys of a fleet that has called them for a while, and lets them
// recover.
func recoverKeys(t *testing.T, rigs []*keyedRig, paces ...pace) {
	t.Helper()
	callKeys(20*time.Second, rigs, paces...)
	for _, p := range paces {
		for _, r := range rigs {
			r.fail(p.key, domain.DefaultFailureThreshold)
		}
	}
	synctest.Wait()
	time.Sleep(time.Second) // a key that is hashed is not pushed
	for _, p := range paces {
		for i, r := range rigs {
			if s := r.fleetState(p.key); s != domain.StateOpen {
				t.Fatalf("replica %d: key %.20q is %v; want it open", i, p.key, s)
			}
		}
	}
	time.Sleep(4 * time.Second)
	start := time.Now()
	for _, p := range paces {
		for _, r := range rigs[:2] {
			r.probe(p.key).Report(domain.Success)
		}
	}
	synctest.Wait()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("recovering took %v; want the first ramp to have just begun", took)
	}
}

// probe is a probe of a key; a replica that is refused asks again.
func (r *keyedRig) probe(key string) fleet.Permit {
	r.tb.Helper()
	for range 1000 {
		p, err := r.breaker.Acquire(r.tb.Context(), key)
		if _, is := p.Lease(); err == nil && is {
			return p
		}
		p.Report(domain.Ignored)
		time.Sleep(10 * time.Millisecond)
	}
	r.tb.Fatalf("key %.20q: no probe", key)
	return fleet.Permit{}
}

// TestRampOfKeys: each key has a ramp of its own, of the calls that the fleet made of it,
// whatever bytes it has; who is well has none.
func TestRampOfKeys(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		long := strings.Repeat("a long one ", 20)
		rigs := keyedFleet(t, 4, stores, rampedKeys(), "busy", "busy=1", long, "well")
		busy, quiet, odd, well := pace{"busy", 1}, pace{"busy=1", 4}, pace{long, 1}, pace{"well", 5}
		recoverKeys(t, rigs, busy, quiet, odd)
		for i, percent := range []int{5, 25, 50} {
			passed := callKeys(8*time.Second, rigs, busy, quiet, odd, well)
			for _, p := range []pace{busy, quiet, odd} {
				want := 8 * 200 / p.every * percent / 100
				if got := passed[p.key]; got < want*7/10 || got > want*23/20+len(rigs) {
					t.Errorf("step %d, key %.20q: %d calls passed in 8 s; want about %d", i, p.key, got, want)
				}
			}
			if got := passed["well"]; got != 320 {
				t.Errorf("step %d: %d of 320 calls of the key that is well passed", i, got)
			}
			callKeys(2*time.Second, rigs, busy, quiet, odd) // the ramps did not begin at once
		}
		passed := callKeys(10*time.Second, rigs, busy, quiet, odd)
		if passed["busy"] != 2000 || passed["busy=1"] != 500 || passed[long] != 2000 {
			t.Errorf("afterwards %v passed; want all", passed)
		}
		for _, r := range rigs {
			if told := r.told(domain.EventSettings); len(told) > 0 {
				t.Errorf("it told %v", told)
			}
			if kept := fleet.Kept(r.replica); kept["calls out"] != 0 || kept["ramps"] != 0 || kept["lanes"] != 0 {
				t.Errorf("afterwards it keeps %v", kept)
			}
		}
	})
}

// A key that is forgotten while it climbs leaves nothing behind; if it comes back it goes
// on where the others are.
func TestAKeyIsForgottenOnItsRamp(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		p := rampedKeys()
		p.MaxKeys, p.Window = 1, time.Second
		rigs := keyedFleet(t, 2, stores, p, "a")
		all := pace{"a", 1}
		recoverKeys(t, rigs, all)
		callKeys(time.Second, rigs, all)
		limiters := rigs[0].breaker.RampLimiters()
		if kept := fleet.Kept(rigs[0].replica); kept["ramps"] != 1 || len(limiters) != 1 {
			t.Fatalf("it keeps %v; want one ramp", kept)
		}
		time.Sleep(2 * time.Second)
		rigs[0].call(domain.Success, "b") // for which there is room only without a
		rigs[0].wantState("none", "a")
		time.Sleep(time.Second) // its vote is withdrawn
		if kept := fleet.Kept(rigs[0].replica); kept["ramps"] != 0 || kept["lanes"] != 0 {
			t.Errorf("it keeps %v", kept)
		}
		for range 100 {
			if runtime.GC(); limiters[0].Value() == nil {
				break
			}
		}
		if limiters[0].Value() != nil {
			t.Error("something holds on to the limit of the ramp")
		}
		time.Sleep(10 * time.Second) // and the other one climbs on
		passed := callKeys(5*time.Second, rigs, all)["a"]
		if want := 100 * 5 * 25 / 100; passed < want*7/10 || passed > want*13/10 {
			t.Errorf("back in the second step: %d calls passed in 5 s; want about %d", passed, want)
		}
	})
}

// What a ramp refuses is not let through because too many other keys are open.
func TestRampBeyondTheShare(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		p := rampedKeys()
		p.MaxOpenShare = 0.3
		rigs := keyedFleet(t, 2, stores, p, names("k", 4)...)
		climbing := pace{"k0", 1}
		recoverKeys(t, rigs, climbing)
		for _, key := range names("k", 4)[1:] {
			for _, r := range rigs {
				r.fail(key, domain.DefaultFailureThreshold)
			}
		}
		synctest.Wait()
		for _, r := range rigs {
			if k := r.breaker.Keys(); !k.Exceeded {
				t.Fatalf("%+v; want too many open", k)
			}
		}
		if passed := callKeys(5*time.Second, rigs, climbing)["k0"]; passed > 5*5+2+2 {
			t.Errorf("%d calls passed in 5 s of the first step; want 5 a second", passed)
		}
		for _, r := range rigs {
			if kept := fleet.Kept(r.replica); kept["calls out"] != 0 {
				t.Errorf("%d calls are out", kept["calls out"])
			}
		}
	})
}

// A closed replica keeps no ramp, and makes none.
func TestCloseOnARamp(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		rigs := keyedFleet(t, 2, stores, rampedKeys(), "a")
		recoverKeys(t, rigs, pace{"a", 1})
		callKeys(time.Second, rigs, pace{"a", 1})
		if err := rigs[0].replica.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := rigs[0].breaker.Acquire(t.Context(), "a"); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("it says %v", err)
		}
		for kind, n := range fleet.Kept(rigs[0].replica) {
			if n != 0 {
				t.Errorf("%d %s are left", n, kind)
			}
		}
	})
}

// On a store without buckets a ramp is refused, and an update that would make one changes
// nothing.
func TestRampOfKeysNeedsBuckets(t *testing.T) {
	w := newWorld(t)
	r := joinKeyedOn(t, port.Stores{Breakers: &line{world: w}, Views: &line{world: w}}, domain.CircuitBreaker{Sharing: domain.ShareQuorum})
	p := r.breaker.Policy()
	p.Ramp, p.Probes = time.Minute, 7
	if err := r.breaker.Update(p); !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Errorf("the update: %v", err)
	}
	if got := r.breaker.Policy(); got.Probes == 7 {
		t.Errorf("it changed the numbers: %v", got)
	}
	p.Name = "others"
	if _, err := r.replica.KeyedBreaker(p); !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Errorf("a new one: %v", err)
	}
}
