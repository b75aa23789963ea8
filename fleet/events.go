package fleet

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/domain"
)

// eventsKept is how many events wait for a slow listener.
const eventsKept = 256

// An eventQueue hands events to a listener in order, outside every lock. Its
// goroutine lives only while there are events.
type eventQueue struct {
	listen func(domain.Event)
	log    *slog.Logger
	spawn  func(func(context.Context)) bool

	mu      sync.Mutex
	waiting []domain.Event
	busy    bool
	dropped int
}

// add queues e, or drops it when the listener is too slow.
func (q *eventQueue) add(e domain.Event) {
	if q.listen == nil {
		return
	}
	q.mu.Lock()
	if len(q.waiting) >= eventsKept {
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.waiting = append(q.waiting, e)
	start := !q.busy
	q.busy = true
	q.mu.Unlock()
	if start && !q.spawn(q.run) {
		q.mu.Lock()
		q.busy, q.waiting = false, nil // the replica is closed: nobody will hear of them
		q.mu.Unlock()
	}
}

// run delivers until nothing waits.
func (q *eventQueue) run(context.Context) {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.busy = false
			q.mu.Unlock()
			return
		}
		e, dropped := q.waiting[0], q.dropped
		q.waiting, q.dropped = q.waiting[1:], 0
		q.mu.Unlock()
		if dropped > 0 {
			q.log.Warn("holdfast: the event listener is too slow", "dropped", dropped)
		}
		q.deliver(e)
	}
}

// deliver outlives a listener that panics: its trouble must not stop the
// replica, nor the events after it.
func (q *eventQueue) deliver(e domain.Event) {
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("holdfast: the event listener panicked", "panic", p)
		}
	}()
	q.listen(e)
}

// logEvent is one line for an edge.
func logEvent(log *slog.Logger, e domain.Event) {
	defer func() { _ = recover() }() // of a handler: there is nobody left to tell
	level := slog.LevelInfo
	switch e.Kind {
	case domain.EventStoreDown, domain.EventBudgetEmpty, domain.EventLockLost, domain.EventOverride, domain.EventShareExceeded,
		domain.EventKeysFull:
		level = slog.LevelWarn
	case domain.EventStoreConfig:
		level = slog.LevelError
	default:
	}
	line := []slog.Attr{slog.String("replica", e.Replica)}
	if e.Name != "" {
		line = append(line, slog.String("name", e.Name))
	}
	if e.Key != "" {
		line = append(line, slog.String("key", e.Key))
	}
	if e.Kind == domain.EventBreaker {
		line = append(line, slog.String("from", e.From.String()), slog.String("to", e.To.String()),
			slog.String("scope", e.Scope.String()), slog.Duration("retry_after", e.RetryAfter))
	}
	if e.Kind == domain.EventOverride {
		line = append(line, slog.String("force", e.Force.String()), slog.String("by", e.By), slog.Duration("lasting", e.RetryAfter))
	}
	if e.Epoch != 0 {
		line = append(line, slog.Uint64("epoch", e.Epoch))
	}
	if e.Reason != "" {
		line = append(line, slog.String("reason", e.Reason))
	}
	log.LogAttrs(context.Background(), level, "holdfast: "+e.Kind.String(), line...)
}

// firstSeen reports whether what last remembers was not seen for quietFor, and
// notes that it was seen now.
func (r *Replica) firstSeen(last *atomic.Int64) bool {
	now := max(int64(r.clock.now()), 1)
	before := last.Load()
	return last.CompareAndSwap(before, now) && (before == 0 || now-before >= int64(quietFor))
}
