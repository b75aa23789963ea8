package fleet

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
)

// How a replica deals with the permits of a fleet's bulkhead.
const (
	permitsLast  = 3 * time.Second        // without a word from their holder
	renewEvery   = time.Second            // while nothing changes
	askAgain     = 50 * time.Millisecond  // while there are not enough
	keepIdle     = 200 * time.Millisecond // what nobody uses
	giveWayEvery = 20 * time.Millisecond  // while others have less than their share
)

// permits are what this replica holds of one bulkhead. They are under the bulkhead's
// lock. One goroutine speaks to the store, while anything runs, waits or is held.
type permits struct {
	bulkhead *Bulkhead
	shard    *shard
	nudge    chan struct{} // to that goroutine: look again
	awake    bool          // it is there

	seq     int64 // of the last ask
	wanted  int64 // by it
	sent    time.Duration
	held    int64
	may     int64         // how many calls may run: fewer than held, and permits are to go back
	until   time.Duration // when the store may forget them
	short   bool          // the last answer was less than was asked for
	shortAt time.Duration // when that was asked
	lost    bool          // the last ask had no answer

	peak      int64 // the most that ran and waited since then
	peakSince time.Duration
	watching  bool // whether fewer permits will do: it is looked after that
}

func newPermits(b *Bulkhead, s *shard) *permits {
	p := &permits{bulkhead: b, shard: s, nudge: make(chan struct{}, 1)}
	s.tryWith(p.touch)
	return p
}

// room is how many calls may run: as many as there are permits for and, while the store
// is out of reach, this replica's part of what the fleet has.
func (p *permits) room() int64 {
	room := int64(0)
	if p.bulkhead.replica.clock.now() < p.until {
		room = min(p.may, int64(p.bulkhead.policy.MaxConcurrent))
	}
	if !p.shard.health.Up() {
		room = max(room, p.share())
	}
	return room
}

// share is this replica's part in an outage; 0 = it is not known how many there are.
func (p *permits) share() int64 {
	n := p.bulkhead.replica.replicas()
	if n == 0 {
		return 0
	}
	return max(int64(p.bulkhead.policy.MaxConcurrent/n), 1)
}

// patience is how long a call without a MaxWait waits for an answer of the store, which
// may take so long; an error if there is no answer to be waited for: it is known
// already, or the store is down.
func (p *permits) patience(left time.Duration) (time.Duration, error) {
	switch now := p.bulkhead.replica.clock.now(); {
	case left <= 0:
		return 0, p.unanswered(errNoTime)
	case !p.shard.health.Up():
		p.shard.try(p.touch)
		return 0, p.unanswered(p.shard.trouble.Load())
	case p.short && now < p.shortAt+askAgain:
		return 0, p.bulkhead.full(false)
	}
	return left, nil
}

// late is the error of a call whose time is over.
func (p *permits) late() error {
	switch {
	case !p.shard.health.Up():
		return p.unanswered(p.shard.trouble.Load())
	case p.short:
		return p.bulkhead.full(false)
	default:
		return p.unanswered(errNotReturned)
	}
}

// unanswered is the error of a call for which the store could not be asked: this
// replica's share is taken, or it has none.
func (p *permits) unanswered(why error) error {
	if p.share() > 0 {
		return p.bulkhead.full(true)
	}
	return storeError("permit hold", p.bulkhead.id.Name, why)
}

// use notes that so many run or wait, and that there is somebody to speak to the store.
func (p *permits) use(n int64) {
	p.peak = max(p.peak, n)
	if !p.awake {
		p.awake = p.bulkhead.replica.spawn(p.keep)
	}
}

// fewer notes that fewer calls run or wait.
func (p *permits) fewer() {
	if p.may < p.held || !p.watching && p.need() < p.wanted {
		p.wake()
	}
}

// need is how many calls run and wait.
func (p *permits) need() int64 {
	return min(p.bulkhead.running+int64(len(p.bulkhead.queue)), domain.MaxConcurrentCalls)
}

func (p *permits) wake() {
	select {
	case p.nudge <- struct{}{}:
	default: // it will look anyway
	}
}

// keep asks for permits, renews them and gives them back, until there is nothing more
// to be said.
func (p *permits) keep(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		wait, live := p.look()
		if !live {
			return
		}
		if wait <= 0 {
			p.say(ctx)
			continue
		}
		pause.Reset(wait)
		select {
		case <-ctx.Done():
		case <-pause.C:
		case <-p.nudge:
		}
	}
}

// look says in how long the store is to be asked again, or looked after: at once, if
// that is 0. It reports false when there is nothing more to be done.
func (p *permits) look() (wait time.Duration, live bool) {
	b := p.bulkhead
	b.mu.Lock()
	defer b.mu.Unlock()
	need := p.need()
	p.watching = need < p.wanted
	if b.replica.closed.Load() || need == 0 && (p.held == 0 && p.wanted == 0 && !p.lost || !p.shard.health.Up()) {
		p.awake, p.peak = false, 0
		return 0, false
	}
	if now := b.replica.clock.now(); now >= p.peakSince+keepIdle {
		p.peak, p.peakSince = need, now
	}
	if !p.shard.health.Up() {
		p.shard.try(p.touch)
		b.serve() // of this replica's share
		return askAgain, true
	}
	return max(p.due(need)-b.replica.clock.now(), 0), true
}

// due is when the store is to be told that need calls run or wait.
func (p *permits) due(need int64) time.Duration {
	switch {
	case p.lost:
		return p.sent + askAgain
	case int64(p.bulkhead.policy.MaxConcurrent) < p.may: // there is less room than there was
		return p.sent + giveWayEvery
	case need > p.may && !p.short:
		return 0
	case p.may < p.held && p.bulkhead.running < p.held:
		return p.sent + giveWayEvery
	case need > p.may && len(p.bulkhead.queue) > 0:
		return p.sent + askAgain
	case p.peak < p.wanted:
		return 0
	case need < p.wanted: // look again when the peak is over
		return min(p.peakSince+keepIdle, p.sent+renewEvery)
	default:
		return p.sent + renewEvery
	}
}

// say tells the store what this replica needs, and does as it answers.
func (p *permits) say(ctx context.Context) { p.shard.record(p.touch(ctx)) }

// touch is say for who keeps the health of the store.
func (p *permits) touch(ctx context.Context) error {
	b := p.bulkhead
	ctx, cancel := context.WithTimeout(ctx, b.replica.config.StoreTimeout)
	defer cancel()
	b.mu.Lock()
	ask := p.ask()
	sent := p.sent
	b.mu.Unlock()
	in, out := []port.HoldRequest{{Bulkhead: b.id, Ask: ask}}, make([]port.HoldReply, 1)
	b.replica.stores.Permits.Hold(ctx, in, out)
	b.mu.Lock()
	defer b.mu.Unlock()
	p.heard(ask, sent, out[0])
	return out[0].Err
}

// ask is what to say. From now on no more run than it says. It requires that the lock is
// held.
func (p *permits) ask() bulkhead.Ask {
	b := p.bulkhead
	want := max(min(p.peak, domain.MaxConcurrentCalls), p.need())
	p.seq++
	p.sent, p.wanted, p.may = b.replica.clock.now(), want, min(p.may, want) // also if no answer comes
	return bulkhead.Ask{
		Holder: b.replica.incarnation, Seq: p.seq, Room: int64(b.policy.MaxConcurrent),
		Keep: max(b.running, p.may), Want: want, Lasting: permitsLast.Microseconds(),
	}
}

// heard does as the store answers. It requires that the lock is held.
func (p *permits) heard(ask bulkhead.Ask, sent time.Duration, reply port.HoldReply) {
	b := p.bulkhead
	if ask.Seq != p.seq {
		return // it was asked anew meanwhile
	}
	if p.lost = reply.Err != nil; p.lost {
		b.refuse(ask.Seq, p.unanswered(reply.Err))
		return
	}
	p.held, p.may, p.short, p.shortAt = reply.Held, reply.Room, reply.Room < ask.Want, sent
	p.until = sent + permitsLast - permitsLast/50 - leaseMargin
	b.serve()
	b.refuse(ask.Seq, b.full(false))
}

// leaseMargin is how much earlier than the store this replica takes its permits for
// forgotten, beside a fiftieth of their life for clocks that are not as fast.
const leaseMargin = 5 * time.Millisecond

// returnPermits gives back what no call uses when the replica closes; the others come
// back by themselves.
func (r *Replica) returnPermits(ctx context.Context) {
	r.mu.Lock()
	var holding []*Bulkhead
	for _, b := range r.bulkheads {
		if b.permits != nil {
			holding = append(holding, b)
		}
	}
	r.mu.Unlock()
	var in []port.HoldRequest
	for _, b := range holding {
		b.mu.Lock()
		if b.permits.held > 0 || b.permits.awake {
			b.permits.peak = 0
			ask := b.permits.ask()
			ask.Keep, ask.Want = b.running, b.running // who waits is told that the replica is closed
			in = append(in, port.HoldRequest{Bulkhead: b.id, Ask: ask})
		}
		b.mu.Unlock()
	}
	if len(in) > 0 && ctx.Err() == nil {
		r.stores.Permits.Hold(ctx, in, make([]port.HoldReply, len(in)))
	}
}
