package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// eventually bounds the wait for what happens in the background.
const eventually = 10 * time.Second

type push struct {
	id   port.ID
	view port.View
}

// A watcher has what is pushed of a store's breakers.
type watcher struct {
	t      *testing.T
	stop   context.CancelFunc
	pushes chan push
	ended  chan error
}

// watched is a run whose store has a watcher that listens.
func watched(t *testing.T, newStore Maker) (*breakerRun, *watcher) {
	t.Helper()
	run := newRun(t, newStore)
	run.id.Name = "watched"
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{t: t, stop: cancel, pushes: make(chan push, 1024), ended: make(chan error, 1)}
	go func() {
		w.ended <- run.store.Views.Watch(ctx, func(id port.ID, v port.View) { w.pushes <- push{id, v} })
	}()
	awaitWatcher(t, run.store, func(patience <-chan time.Time) bool {
		select {
		case <-w.pushes:
			return true
		case <-patience:
			return false
		}
	})
	return run, w
}

// saw checks that these views of the breaker were pushed, in this order, and no other
// before the last of them.
func (w *watcher) saw(id port.ID, all ...port.View) {
	w.t.Helper()
	for _, want := range all {
		for got := (push{}); got.id != id; {
			select {
			case got = <-w.pushes:
			case err := <-w.ended:
				w.t.Fatalf("Watch ended: %v", err)
			case <-time.After(eventually):
				w.t.Fatalf("nothing was pushed; want %+v", want)
			}
			if got.id == id && got.view != want {
				w.t.Fatalf("pushed %+v; want %+v", got.view, want)
			}
		}
	}
}

// ends checks that Watch ends with its context.
func (w *watcher) ends() {
	w.t.Helper()
	w.stop()
	select {
	case err := <-w.ended:
		if !errors.Is(err, context.Canceled) {
			w.t.Errorf("Watch = %v; want the context's cause", err)
		}
	case <-time.After(eventually):
		w.t.Error("Watch does not end with its context")
	}
}

// awaitWatcher makes transitions of another breaker until one is pushed: when a
// watcher listens is not told otherwise.
func awaitWatcher(t *testing.T, store port.Stores, pushed func(patience <-chan time.Time) bool) {
	t.Helper()
	other := breakerRun{t: t, store: store, id: port.ID{Name: "other"}}
	for known := time.Duration(0); known < eventually; known += time.Millisecond {
		other.do(asks("a", 1).knowing(known))
		if pushed(time.After(time.Millisecond)) {
			return
		}
	}
	t.Fatal("no push has come")
}

// testWatch follows a breaker through all its transitions.
func testWatch(t *testing.T, newStore Maker) {
	t.Helper()
	run, w := watched(t, newStore)
	run.play(then(probing(), []breakerStep{
		{0, asks("b", 2), halfOpen(30*time.Second, 10*time.Second)},
		{0, settles("a", 1, domain.Success), halfOpen(30*time.Second, 0)},
		{0, asks("b", 2), leased(10*time.Second, 30*time.Second, 10*time.Second)},
		{time.Second, settles("b", 2, domain.Success), closed(31 * time.Second)},
		{0, reads().knowing(time.Minute), closed(31 * time.Second)},
		{0, asks("b", 3).knowing(time.Minute), fresh(time.Minute + us)},
	}), "the story that is watched")
	w.saw(run.id,
		open(us, 30*time.Second).View,
		halfOpen(30*time.Second, 10*time.Second).View,
		halfOpen(30*time.Second, 0).View, // a's lease is free, for which b waits
		closed(31*time.Second).View,
		fresh(time.Minute+us).View,
	)
	w.ends()
}

// testWatchRamp: who hears that it closed hears of the ramp with that.
func testWatchRamp(t *testing.T, newStore Maker) {
	t.Helper()
	run, w := watched(t, newStore)
	run.policy = ramped()
	run.play(then([]breakerStep{
		{0, sick("a").calling(600), fresh(0)},
		{0, sick("b").calling(400), open(us, 4*time.Second)},
	}, recovers(4*time.Second, 1, 2), []breakerStep{
		{0, settles("b", 2, domain.Success), ramping(4*time.Second+us, 30*time.Second, 100)},
	}), "")
	w.saw(run.id,
		open(us, 4*time.Second).View,
		halfOpen(4*time.Second, 10*time.Second).View,
		halfOpen(4*time.Second, 0).View,
		ramping(4*time.Second+us, 30*time.Second, 100).View,
	)
	w.ends()
}

// testWatchOrders: an order is pushed by its serial, a transition tells it too, and one
// that changes nothing is not pushed.
func testWatchOrders(t *testing.T, newStore Maker) {
	t.Helper()
	run, w := watched(t, newStore)
	second := time.Second
	run.play([]breakerStep{
		{0, gives(forceOpen()), under(0, nothing())},
		{second, again(forceOpen(), 0), under(0, nothing())},
		{0, sick("a"), under(0, fresh(second))},
		{0, sick("b"), under(0, open(second+us, 30*second))},
		{0, gives(breaker.Order{Reset: true, By: "ann"}), under(second, nothing())},
	}, "")
	w.saw(run.id, under(0, nothing()).View, under(0, open(second+us, 30*second)).View, under(second, nothing()).View)
	w.ends()
}
