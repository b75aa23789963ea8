package fleet_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A weather is what a wire does with calls. The zero weather is fine: calls take
// a few milliseconds.
type weather struct {
	cut      bool // nothing arrives, nothing comes back
	refusing bool // calls fail at once
	deaf     bool // no push comes through
	slow     time.Duration
	// Each a percentage of calls.
	losesRequests, losesReplies, late, doubles int
}

// fine reports whether every call is answered in time.
func (w weather) fine() bool {
	return !w.cut && !w.refusing && w.slow == 0 && w.losesRequests == 0 && w.losesReplies == 0 && w.late == 0
}

// A wire is one replica's way to the store, with faults. What it carried is the
// truth about what the replica could know.
type wire struct {
	sim  *simulation
	who  int
	uses atomic.Bool // buckets

	mu        sync.Mutex
	weather   weather
	fineSince time.Duration
	lost      int           // calls in a row that were not answered
	unwell    bool          // the last call that was to write was not
	downSince time.Duration // since the third of those; 0 = not
	members   int           // as the last beat was answered
}

// failuresToDown is how many calls in a row a replica loses until it takes the
// store for down.
const failuresToDown = 3

// set changes the weather.
func (w *wire) set(now weather) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.fine() != w.weather.fine() {
		w.fineSince = w.sim.since()
	}
	w.weather = now
}

// fineFor is for how long every call was answered in time; 0 = it is not so.
func (w *wire) fineFor() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.weather.fine() || w.downSince > 0 {
		return 0
	}
	return w.sim.since() - w.fineSince
}

// ended notes whether a call was answered. One that only read says little when it
// was: a store that is not well answers reads.
func (w *wire) ended(op string, answered bool) {
	reads := op == "read" || op == "peek" || op == "beat"
	w.mu.Lock()
	if !reads {
		w.unwell = !answered
	}
	tried := w.downSince > 0 && !w.uses.Load() // by what there is
	counts := !answered || !reads || tried || (w.downSince == 0 && !w.unwell)
	w.mu.Unlock()
	if counts {
		w.answered(answered)
	}
}

// answered notes an answer, or that there was none.
func (w *wire) answered(yes bool) {
	w.mu.Lock()
	lost, wasDown := w.lost+1, w.downSince > 0
	if yes {
		lost = 0
	}
	w.mu.Unlock()
	if down := lost >= failuresToDown; down != wasDown {
		w.sim.bank.settleShares(w) // by what was so far
		w.mu.Lock()
		defer w.mu.Unlock()
		w.downSince = 0
		if down {
			w.downSince = w.sim.since()
			w.sim.count.outages.Add(1)
		}
		w.lost = lost
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = lost
}

// down is since when the replica may take the store for down; 0 = not.
func (w *wire) down() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.downSince
}

// replicas is how many its replica knows of; 0 = it does not know.
func (w *wire) replicas() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.members > 0 {
		return w.members
	}
	return w.sim.expected
}

// A parcel is one call on its way.
type parcel[R any] struct {
	op      string
	execute func(ctx context.Context) R
	again   func(ctx context.Context) // once more, where the protocol allows that; nil: it does not
}

// carry takes one call to the store and its reply back, as the weather has it.
func carry[R any](ctx context.Context, w *wire, p parcel[R]) (reply R, err error) {
	defer func() { w.ended(p.op, err == nil) }()
	w.mu.Lock()
	now := w.weather
	w.mu.Unlock()
	dice := w.sim.dice(w.who, p.op)
	there, back := leg(dice, now), leg(dice, now)
	switch fate := dice.IntN(100); {
	case now.refusing:
		return reply, errLine
	case now.cut, fate < now.losesRequests:
		return reply, gaveUp(ctx)
	case dice.IntN(100) < now.late:
		w.sim.all.Go(func() { w.deliverLate(ctx, dice, func() { p.execute(ctx) }) })
		return reply, gaveUp(ctx)
	case !pass(ctx, there):
		w.sim.all.Go(func() { w.deliverLate(ctx, dice, func() { p.execute(ctx) }) })
		return reply, gaveUp(ctx)
	}
	if p.again != nil && dice.IntN(100) < now.doubles {
		w.sim.count.doubled.Add(1)
		p.again(context.WithoutCancel(ctx))
	}
	reply = p.execute(ctx)
	if dice.IntN(100) < now.losesReplies || !pass(ctx, back) {
		return reply, gaveUp(ctx)
	}
	return reply, nil
}

// leg is how long one way takes. No two take the same time, so that no two calls
// arrive together.
func leg(dice *rand.Rand, w weather) time.Duration {
	return between(dice, 200*time.Microsecond, 4*time.Millisecond) + time.Duration(dice.Int64N(int64(w.slow)+1))
}

// deliverLate brings a call to the store after its caller gave up.
func (w *wire) deliverLate(ctx context.Context, dice *rand.Rand, execute func()) {
	<-ctx.Done()
	time.Sleep(between(dice, 1, 500*time.Millisecond))
	w.sim.count.late.Add(1)
	execute()
}

// gaveUp waits for the caller's end.
func gaveUp(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// pass lets time go by, and reports false if ctx ended first.
func pass(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *wire) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	own := slices.Clone(in) // what is executed late must touch neither slice
	op := "peek"
	if slices.ContainsFunc(own, func(r port.TakeRequest) bool { return r.Cost > 0 || r.Turn }) {
		op = "take"
	}
	p := parcel[[]port.TakeReply]{op: op, execute: func(ctx context.Context) []port.TakeReply {
		return w.sim.bank.take(ctx, w, own)
	}}
	bills := slices.DeleteFunc(slices.Clone(own), func(r port.TakeRequest) bool { return r.Bill == 0 })
	if len(bills) > 0 { // they have numbers
		p.again = func(ctx context.Context) { w.sim.bank.take(ctx, w, bills) }
	}
	replies, err := carry(ctx, w, p)
	for i := range out {
		if out[i] = (port.TakeReply{Err: asLost("take", err)}); err == nil {
			out[i] = replies[i]
		}
	}
}

func (w *wire) Report(ctx context.Context, in []port.Report, out []port.View) {
	own := slices.Clone(in)
	execute := func(ctx context.Context) []port.View {
		views := make([]port.View, len(own))
		w.sim.world.report(ctx, own, views)
		return views
	}
	again := func(ctx context.Context) { // at any time: it has a number
		w.sim.all.Go(func() {
			time.Sleep(between(w.sim.dice(w.who, "report again"), 1, time.Second))
			execute(ctx)
		})
	}
	views, err := carry(ctx, w, parcel[[]port.View]{"report", execute, again})
	for i := range out {
		if out[i] = (port.View{Err: asLost("report", err)}); err == nil {
			out[i] = views[i]
		}
	}
}

func (w *wire) Probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	own := slices.Clone(in)
	execute := func(ctx context.Context) []port.ProbeReply {
		replies := make([]port.ProbeReply, len(own))
		w.sim.world.probe(ctx, own, replies)
		return replies
	}
	again := func(ctx context.Context) { execute(ctx) } // the token says that it is the same
	op := "ask"
	if own[0].Settle {
		op = "settle"
	}
	replies, err := carry(ctx, w, parcel[[]port.ProbeReply]{op, execute, again})
	for i := range out {
		if out[i] = (port.ProbeReply{View: port.View{Err: asLost(op, err)}}); err == nil {
			out[i] = replies[i]
		}
	}
}

func (w *wire) Read(ctx context.Context, in []port.ID, out []port.View) {
	own := slices.Clone(in)
	views, err := carry(ctx, w, parcel[[]port.View]{op: "read", execute: func(ctx context.Context) []port.View {
		views := make([]port.View, len(own))
		stores, _ := w.sim.world.stores()
		stores.Views.Read(ctx, own, views)
		return views
	}})
	for i := range out {
		if out[i] = (port.View{Err: asLost("read", err)}); err == nil {
			out[i] = views[i]
		}
	}
}

func (w *wire) Watch(ctx context.Context, onView func(port.ID, port.View)) error {
	return w.sim.world.watch(ctx, func(id port.ID, v port.View) {
		w.mu.Lock()
		through := !w.weather.cut && !w.weather.refusing && !w.weather.deaf
		w.mu.Unlock()
		if through {
			onView(id, v)
		}
	})
}

// knows follows what a replica was told of the fleet's size.
func (w *wire) knows(members int) {
	before := w.replicas()
	w.sim.bank.settleShares(w)
	w.mu.Lock()
	w.members = members
	w.mu.Unlock()
	if members != before {
		w.sim.bank.priceAgain(w)
	}
}

// A beat is what a member store answers.
type beat struct {
	live int
	err  error
}

func (w *wire) Beat(ctx context.Context, replica string, lasting time.Duration) (int, error) {
	execute := func(ctx context.Context) beat {
		stores, _ := w.sim.world.stores()
		live, err := stores.Members.Beat(ctx, replica, lasting)
		return beat{live, err}
	}
	got, err := carry(ctx, w, parcel[beat]{"beat", execute, func(ctx context.Context) { execute(ctx) }})
	if err != nil {
		return 0, asLost("beat", err)
	}
	if got.err == nil && lasting > 0 {
		w.knows(got.live)
	}
	return got.live, got.err
}

func asLost(op string, err error) error {
	if err == nil {
		return nil
	}
	return &domain.StoreError{Op: op, Err: err}
}
