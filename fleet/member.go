package fleet

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
)

// How often a replica says that it is there, and how long that counts. The
// second time is soon, so that replicas which start together count each other.
const (
	beatAgain = time.Second
	beatEvery = 5 * time.Second
	beatLasts = 3 * beatEvery
)

// beat keeps this replica a member, and so learns how many there are.
func (r *Replica) beat(ctx context.Context) {
	home := r.shardOf(r.bare.Members, port.ID{})
	pause := time.NewTimer(0)
	defer pause.Stop()
	for next := beatAgain; ; next = beatEvery {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		r.beatOnce(ctx, home)
		pause.Reset(next - r.jitter(next/10))
	}
}

func (r *Replica) beatOnce(ctx context.Context, home *shard) {
	ctx, cancel := context.WithTimeout(ctx, r.config.StoreTimeout)
	defer cancel()
	live, err := r.stores.Members.Beat(ctx, r.incarnation, beatLasts)
	if err == nil {
		r.seen(live, home.health.Up())
	}
	home.recordBeat(err)
}

// seen keeps the size of the fleet. While the store is down it only grows: what
// shares of limits have earned since they were last asked is divided by it, too.
func (r *Replica) seen(live int, up bool) {
	n := int64(live)
	if !up {
		n = max(n, r.members.Load())
	}
	r.members.Store(n)
}

// replicas is the size of the fleet, as last seen or expected; 0 = not known.
func (r *Replica) replicas() int {
	if n := int(r.members.Load()); n > 0 {
		return n
	}
	return r.config.ExpectedReplicas
}
