package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// An outage is a fault that makes the store fail for a while.
type outage struct {
	breaks func() // begins it
	mends  func() // ends it; it returns when Redis itself is well again

	config  bool   // it is one of permissions, a password or TLS
	already bool   // it has begun
	erases  bool   // the state is gone with it
	inDoubt bool   // calls may have been executed whose callers were told otherwise
	atOnce  bool   // and were told at once, so that it cannot be seen which
	says    string // what the server says of it
}

// goThrough plays an outage under load, and asserts what every one of them has
// in common: each limit does what it declared, in time; one event at each edge;
// the way back; no call is executed twice or late; what was admitted without the
// store is paid for, once.
func (r *rig) goThrough(o outage) {
	r.Helper()
	open, closed := r.limit("open", domain.OutageOpen), r.limit("closed", domain.OutageClosed)
	share := r.limiter(domain.RateLimit{Name: "share", Limit: domain.PerSecond(10_000), Outage: domain.OutageLocalShare})
	loads := map[string]*load{"open": startLoad(open), "closed": startLoad(closed), "share": startLoad(share)}
	defer func() {
		for _, l := range loads {
			l.stop()
		}
	}()
	begun := time.Now()
	if !o.already {
		r.until(patience, "the fleet is seen", func() bool { return r.Health().Replicas == 1 })
		for _, l := range loads {
			r.until(patience, "calls are admitted by the store", func() bool { return l.admitted() >= 3*callers })
		}
	}
	broken := time.Now()
	o.breaks()
	r.until(patience, "the outage is noticed", func() bool { return r.events.count(o.firstTold()) > 0 })
	noticed := time.Now()
	time.Sleep(time.Second) // for so long it lasts
	mending := time.Now()
	o.mends()
	mended := time.Now()
	r.until(recovery, "it is over", func() bool { return r.events.count(domain.EventStoreUp) > 0 })
	back := time.Now()
	for _, l := range loads {
		admitted := l.admitted()
		r.until(patience, "calls are admitted by the store again", func() bool { return l.admitted() >= admitted+3*callers })
	}
	r.Logf("noticed after %v, back after %v", noticed.Sub(broken).Round(time.Millisecond), back.Sub(mended).Round(time.Millisecond))
	calls, late := make(map[string][]made), time.Duration(0)
	for name, l := range loads {
		calls[name] = l.stop()
		late = max(late, l.late)
	}
	still := r.stoodStill(late)
	for name, l := range loads {
		r.Logf("%s:", name)
		l.wantInTime(r.T, calls[name])
		if still {
			continue
		}
		if !o.already {
			wantEach(r.T, name+", before", between(calls[name], begun, broken), isDecided)
		}
		wantEach(r.T, name+", during", between(calls[name], noticed, mending), o.declared(name))
		wantEach(r.T, name+", after", between(calls[name], back.Add(fleet.DefaultStoreTimeout), time.Now()), isDecided)
	}
	if !still {
		r.wantEdges(o)
	}
	wantSaid(r.T, calls["closed"], o.says)
	if !o.erases {
		r.wantSpent(closed, calls["closed"], o)
		r.wantSpent(open, calls["open"], o)
	}
}

// stoodStill reports whether the machine itself was late by so much that it
// looked like an outage of its own. Then what is told of outages is not judged.
func (r *rig) stoodStill(late time.Duration) bool {
	if late < fleet.DefaultStoreTimeout/2 {
		return false
	}
	r.Logf("NOT JUDGED in full: the machine stood still for %v", late)
	return true
}

// firstTold is what is told once it is known what the matter is: a connection that
// is cut off says nothing of why the next one cannot be made.
func (o outage) firstTold() domain.EventKind {
	if o.config {
		return domain.EventStoreConfig
	}
	return domain.EventStoreDown
}

// admitted is how many calls the store has let through so far.
func (l *load) admitted() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if isDecided(c) {
			n++
		}
	}
	return n
}

// isDecided reports whether the store itself let a call through.
func isDecided(c made) bool { return c.err == nil && c.d.Allowed && !c.d.Degraded }

// declared is what a limit does while the store is down.
func (o outage) declared(name string) func(made) bool {
	switch name {
	case "open":
		return func(c made) bool { return c.err == nil && c.d.Allowed && c.d.Degraded }
	case "share":
		if o.already {
			return func(c made) bool { return unavailable(c.err, o.config) } // of how many is not known
		}
		return func(c made) bool { return c.err == nil && c.d.Degraded }
	default:
		return func(c made) bool { return unavailable(c.err, o.config) }
	}
}

// wantEach asserts something of each call.
func wantEach(t *testing.T, which string, calls []made, holds func(made) bool) {
	t.Helper()
	wrong := 0
	for _, c := range calls {
		if !holds(c) {
			if wrong++; wrong == 1 {
				t.Errorf("%s: %+v, %v", which, c.d, c.err)
			}
		}
	}
	if wrong > 0 || len(calls) == 0 {
		t.Errorf("%s: %d of %d calls are not as declared", which, wrong, len(calls))
	}
}

// wantEdges asserts that an outage is told at its edges, and nowhere else.
func (r *rig) wantEdges(o outage) {
	r.Helper()
	configs := 0
	if o.config {
		configs = 1
	}
	for kind, want := range map[domain.EventKind]int{
		domain.EventStoreDown: 1, domain.EventStoreUp: 1, domain.EventStoreConfig: configs,
	} {
		if got := r.events.count(kind); got != want {
			r.Errorf("%d events %v; want %d: %v", got, kind, want, r.events.kinds())
		}
	}
}

// wantSpent asserts that the store was charged once for each call that was let
// through, by itself or without it, and for no other.
func (r *rig) wantSpent(l *fleet.Limiter, calls []made, o outage) {
	r.Helper()
	admitted, doubtful := int64(0), int64(0)
	for _, c := range calls {
		if c.err == nil && c.d.Allowed {
			admitted++
		}
		if o.inDoubt && !isDecided(c) && (o.atOnce || c.took > fleet.DefaultStoreTimeout/2) {
			doubtful++ // it may have been executed, and its reply lost
		}
	}
	spent := int64(0)
	r.until(patience, "the bill is paid", func() bool {
		spent = burst - r.remaining(l, "")
		return spent >= admitted
	})
	r.Logf("%s: %d admitted, %d in doubt, %d spent", l.Policy().Name, admitted, doubtful, spent)
	if spent > admitted+doubtful {
		r.Errorf("%s: %d tokens are spent; want %d to %d", l.Policy().Name, spent, admitted, admitted+doubtful)
	}
}

// wantSaid asserts that callers are told why.
func wantSaid(t *testing.T, calls []made, text string) {
	t.Helper()
	if !slices.ContainsFunc(calls, func(c made) bool { return c.err != nil && strings.Contains(c.err.Error(), text) }) {
		told := map[string]bool{}
		for _, c := range calls {
			told[fmt.Sprint(c.err)] = true
		}
		t.Errorf("no caller was told of %q, but of %v", text, slices.Collect(maps.Keys(told)))
	}
}
