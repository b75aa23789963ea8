package demo

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

const (
	lookEvery  = 25 * time.Millisecond
	skewEvery  = time.Second
	skewProbes = 8 // readings of the store's clock; the fastest one counts
)

// A watcher follows the fleet's breaker in the store: pushed transitions, and a
// look at the state every 25 ms in case that a push is lost. An epoch is the
// store's clock at its transition, so when each one was is known to the
// microsecond, however late it is noticed.
type watcher struct {
	clock  clock
	client *redis.Client
	views  port.ViewSource
	wait   sync.WaitGroup
	cancel context.CancelFunc

	mu      sync.Mutex
	skew    time.Duration // what to take from the store's clock (Unix) to get ours
	history []transition  // by epoch
	changed chan struct{} // closed at the next change
}

// watch starts a watcher. It must be closed.
func watch(ctx context.Context, c clock, s *sharedStore) (*watcher, error) {
	w := &watcher{clock: c, client: s.client, views: s.ports.Views, changed: make(chan struct{})}
	if err := w.compare(ctx); err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w.wait.Go(func() { w.listen(ctx) })
	w.wait.Go(func() { w.look(ctx) })
	return w, nil
}

func (w *watcher) close() {
	w.cancel()
	w.wait.Wait()
}

// listen takes what is pushed.
func (w *watcher) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = w.views.Watch(ctx, func(_ port.ID, v port.View) { w.saw(v) }) // look sees what this misses
		_ = pause(ctx, lookEvery)
	}
}

// look reads the state again and again, and compares the clocks now and then.
func (w *watcher) look(ctx context.Context) {
	in, out := [1]port.ID{{Name: part}}, [1]port.View{}
	compared := w.clock.now()
	for pause(ctx, lookEvery) == nil {
		within, cancel := context.WithTimeout(ctx, skewEvery)
		w.views.Read(within, in[:], out[:])
		if out[0].Err == nil {
			w.saw(out[0])
		}
		if w.clock.now()-compared > skewEvery {
			_ = w.compare(within) // the last comparison stands
			compared = w.clock.now()
		}
		cancel()
	}
}

// compare finds out by how much the store's clock differs from ours: it was
// read somewhere between question and answer, so the fastest answer says most.
func (w *watcher) compare(ctx context.Context) error {
	best, skew := time.Duration(math.MaxInt64), time.Duration(0)
	for range skewProbes {
		asked := w.clock.now()
		theirs, err := w.client.Time(ctx).Result()
		if err != nil {
			return err
		}
		if took := w.clock.now() - asked; took < best {
			best, skew = took, time.Duration(theirs.UnixMicro())*time.Microsecond-(asked+took/2)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew = skew
	return nil
}

// saw notes a view that begins an epoch.
func (w *watcher) saw(v port.View) {
	if v.Epoch == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i, known := slices.BinarySearchFunc(w.history, v.Epoch, func(t transition, epoch uint64) int {
		return cmp.Compare(t.epoch, epoch)
	})
	if known {
		return
	}
	at := time.Duration(v.Epoch)*time.Microsecond - w.skew
	w.history = slices.Insert(w.history, i, transition{at, v.Epoch, v.State})
	close(w.changed)
	w.changed = make(chan struct{})
}

// all returns the transitions so far, and a channel that is closed at the next.
func (w *watcher) all() (history []transition, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history), w.changed
}

// until waits until the history is as wanted, for so long at most.
func (w *watcher) until(ctx context.Context, atMost time.Duration, wanted func([]transition) bool) error {
	patience := time.NewTimer(atMost)
	defer patience.Stop()
	for {
		history, changed := w.all()
		if wanted(history) {
			return nil
		}
		select {
		case <-changed:
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// The states of a breaker that the story waits for.

func isThere(history []transition) bool { return len(history) > 0 }

func isClosed(history []transition) bool { return stateOf(history) == domain.StateClosed }

// stateOf is the last state; closed for a breaker that is not there.
func stateOf(history []transition) domain.State {
	if len(history) == 0 {
		return domain.StateClosed
	}
	return history[len(history)-1].state
}
