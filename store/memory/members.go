package memory

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// members implements port.MemberStore.
type members struct {
	now  func() int64
	mu   sync.Mutex
	last map[string]beat
}

// A beat is when a replica was last heard of, Unix µs, and how long that lasts.
type beat struct{ at, lasting int64 }

// Beat keeps replica a member. It never fails but for a ctx that is done.
func (m *members) Beat(ctx context.Context, replica string, lasting time.Duration) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, &domain.StoreError{Op: "member beat", Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		m.last = make(map[string]beat)
	}
	now := m.now()
	m.last[replica] = beat{now, lasting.Microseconds()}
	for other, b := range m.last {
		b.at = min(b.at, now) // the clock may have stepped back
		m.last[other] = b
		if now-b.at >= b.lasting {
			delete(m.last, other)
		}
	}
	return len(m.last), nil
}
