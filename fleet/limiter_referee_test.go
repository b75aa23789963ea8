package fleet_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A bank stands before the simulation's buckets. It sees what the store executed
// and what callers were told, and holds the one against the other and both
// against the promises.
type bank struct {
	sim *simulation

	mu       sync.Mutex
	accounts map[port.ID]*account // of what the store granted, since the last flush
	holders  map[holder]*holding
	fleets   map[port.ID]*fleetMeter // of limits that are shared out in an outage
	traces   map[int64]*trace        // by cost
}

// A holder is one replica's side of a bucket.
type holder struct {
	who int
	id  port.ID
}

// A holding is what is known of a holder.
type holding struct {
	asked, executed map[int64]int64 // calls, by cost
	granted, told   int64           // tokens, decided by the store
	share           shareMeter
	owed            int64 // tokens admitted without the store
	owedAt          time.Duration
	bills           map[uint64]int64 // that the store executed
	paid            int64
	paidAt          time.Duration
	forgiven        bool // a bill was a whole burst: there may have been more on it
}

// A trace is one call whose cost is its own.
type trace struct {
	start    time.Duration
	executed bool
}

func newBank(s *simulation) *bank {
	return &bank{
		sim: s, accounts: make(map[port.ID]*account), holders: make(map[holder]*holding),
		fleets: make(map[port.ID]*fleetMeter), traces: make(map[int64]*trace),
	}
}

// of requires that b.mu is held.
func (b *bank) of(who int, id port.ID) *holding {
	h := b.holders[holder{who, id}]
	if h == nil {
		h = &holding{asked: make(map[int64]int64), executed: make(map[int64]int64), bills: make(map[uint64]int64)}
		b.holders[holder{who, id}] = h
	}
	return h
}

// flushed ends what the store knew: what it grants from now on is by new bursts.
func (b *bank) flushed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.accounts)
	b.refill()
}

// stepped follows a step of the store's clock. Forward it is worth a burst, on
// the callers' clocks; on the store's own it is worth its length.
func (b *bank) stepped() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill()
}

// refill requires that b.mu is held.
func (b *bank) refill() {
	for _, m := range b.fleets {
		m.tokens = m.most
	}
}

// take executes requests and keeps the books. A bill goes by itself, which is
// the same to the store, so that it can be seen what it does.
func (b *bank) take(ctx context.Context, w *wire, in []port.TakeRequest) []port.TakeReply {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]port.TakeReply, len(in))
	for i := 0; i < len(in); {
		n := i + 1
		if in[i].Bill != 0 {
			before := b.look(in[i])
			b.execute(ctx, w, in[i:n], out[i:n])
			b.paidOnce(w, in[i], before, b.look(in[i]))
			i = n
			continue
		}
		for n < len(in) && in[n].Bill == 0 {
			n++
		}
		b.execute(ctx, w, in[i:n], out[i:n])
		i = n
	}
	return out
}

// execute requires that b.mu is held.
func (b *bank) execute(ctx context.Context, w *wire, in []port.TakeRequest, out []port.TakeReply) {
	stores, _ := b.sim.world.stores()
	late := ctx.Err() != nil
	stores.Buckets.Take(ctx, in, out)
	for i := range in {
		what := described(w.who, in[i])
		switch {
		case out[i].Err != nil && !late:
			b.sim.failf("%s: %v", what, out[i].Err)
		case out[i].Err != nil:
			b.sim.tellf("%s: refused, it is late", what)
		case late:
			b.sim.failf("%s: executed after its caller gave up", what)
		default:
			b.sim.tellf("%s: %d granted, %d left, for %v", what, out[i].Granted, out[i].Remaining, out[i].RetryAfter)
			b.book(w, in[i], out[i])
		}
	}
}

func described(who int, r port.TakeRequest) string {
	what := "take"
	if r.Bill != 0 {
		what = "bill"
	}
	return fmt.Sprintf("store: replica %d, %s %s: %s %d×%d", who, r.Bucket.Name, r.Bucket.Key, what, r.Count, r.Cost)
}

// look reads a bucket and changes nothing: what there is, and how long until
// there is one token, which tells a debt.
func (b *bank) look(r port.TakeRequest) port.TakeReply {
	stores, _ := b.sim.world.stores()
	r.Ask = bucket.Ask{Count: 1}
	var out [1]port.TakeReply
	stores.Buckets.Take(context.Background(), []port.TakeRequest{r}, out[:])
	return out[0]
}

// paidOnce is about a bill that comes twice: the second time it must not change
// the bucket. It requires that b.mu is held.
func (b *bank) paidOnce(w *wire, r port.TakeRequest, before, after port.TakeReply) {
	a := b.accounts[r.Bucket]
	if a == nil || a.charged[r.Bill] < 2 || before == after {
		return
	}
	b.sim.failf("%s: it was charged again: from %+v to %+v", described(w.who, r), before, after)
}

// book requires that b.mu is held.
func (b *bank) book(w *wire, in port.TakeRequest, out port.TakeReply) {
	h := b.of(w.who, in.Bucket)
	a := b.accounts[in.Bucket]
	if a == nil {
		a = &account{charged: make(map[uint64]int)}
		b.accounts[in.Bucket] = a
	}
	if in.Cost == 0 && !in.Turn {
		return // the bucket keeps nothing of a look, not even when that was
	}
	a.advance(b.sim.clock.micro())
	if !out.Foreign {
		a.adopt(in.Rule)
	}
	b.remembersBills(a, in, out)
	switch {
	case in.Cost == 0: // it was written as it is
	case in.Bill != 0:
		b.bookBill(w, h, in)
	default:
		h.executed[in.Cost] += in.Count
		h.granted += out.Granted * in.Cost
		if h.executed[in.Cost] > h.asked[in.Cost] {
			b.sim.failf("%s: %d calls of this cost were executed, of %d made", described(w.who, in), h.executed[in.Cost], h.asked[in.Cost])
		}
		b.bookTrace(w, in)
		if out.Granted > 0 {
			b.sim.count.granted.Add(out.Granted)
			if over := a.grant(out.Granted * in.Cost); over > 0 {
				b.sim.failf("%s: %v tokens above burst + rate·t", described(w.who, in), over)
			}
		}
		if out.Granted < in.Count {
			b.sim.count.denied.Add(in.Count - out.Granted)
		}
	}
}

// remembersBills follows which bills a bucket knows. One that was full before
// this request is as good as none: it knows no bills any more.
func (*bank) remembersBills(a *account, in port.TakeRequest, out port.TakeReply) {
	taken := out.Granted * in.Cost
	if out.Remaining+taken >= a.rule.Burst() {
		clear(a.charged)
	}
	if in.Bill != 0 {
		a.charged[in.Bill]++
	}
}

// bookTrace requires that b.mu is held.
func (b *bank) bookTrace(w *wire, in port.TakeRequest) {
	if in.Bucket.Name != tracedName {
		return
	}
	t := b.traces[in.Cost]
	switch {
	case t == nil:
		b.sim.failf("%s: nobody made this call", described(w.who, in))
	case t.executed || in.Count != 1:
		b.sim.failf("%s: it was executed twice", described(w.who, in))
	case b.sim.since() > t.start+storeTimeout:
		b.sim.failf("%s: executed %v after it was made", described(w.who, in), b.sim.since()-t.start)
	}
	if t != nil {
		t.executed = true
	}
}

// bookBill requires that b.mu is held.
func (b *bank) bookBill(w *wire, h *holding, in port.TakeRequest) {
	b.sim.count.bills.Add(1)
	if _, again := h.bills[in.Bill]; again {
		return
	}
	h.bills[in.Bill] = in.Cost
	h.paid += in.Cost
	h.paidAt = b.sim.since()
	h.forgiven = h.forgiven || in.Cost >= b.sim.limit(in.Bucket.Name).leastBurst()
	if h.paid > h.owed {
		b.sim.failf("%s: %d tokens paid of %d admitted", described(w.who, in), h.paid, h.owed)
	}
}

// ask notes that a call is made.
func (b *bank) ask(w *wire, p domain.RateLimit, id port.ID, cost int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.of(w.who, id)
	w.uses.Store(true)
	h.asked[cost]++
	h.share.follow(w, p, b.sim.since())
	if id.Name == tracedName && cost > 0 {
		b.traces[cost] = &trace{start: b.sim.since()}
	}
}

// told notes that a caller was admitted.
func (b *bank) told(w *wire, p domain.RateLimit, id port.ID, cost int64, d domain.Decision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.of(w.who, id)
	if !d.Degraded {
		if h.told += cost; h.told > h.granted {
			b.sim.failf("replica %d, %s %s: %d tokens admitted, but the store granted %d", w.who, id.Name, id.Key, h.told, h.granted)
		}
	} else {
		h.owed += cost
		h.owedAt = b.sim.since()
		b.sim.count.degraded.Add(1)
	}
	if p.Outage != domain.OutageLocalShare {
		return
	}
	if d.Degraded {
		if short := h.share.take(w, p, cost, b.sim.since()); short > 0 {
			b.sim.failf("replica %d, %s %s: its share was %v tokens short of a cost of %d", w.who, id.Name, id.Key, short, cost)
		}
	}
	m := b.fleets[id]
	if m == nil {
		m = newFleetMeter(b.sim, p)
		b.fleets[id] = m
	}
	if over := m.take(b.sim, cost); over > 0 {
		b.sim.failf("replica %d, %s %s: the fleet admitted %v tokens above the envelope", w.who, id.Name, id.Key, over)
	}
}

// settleShares brings a replica's shares up to now, before its store goes down
// or comes up for it, or the fleet changes its size.
func (b *bank) settleShares(w *wire) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.fleets {
		m.settle(b.sim)
	}
	for at, h := range b.holders {
		if at.who == w.who {
			h.share.settle(w, h.share.policy, b.sim.since())
		}
	}
}

// priceAgain follows another size of the fleet that a replica learnt of while its
// store is down. It prices what its shares earned since they were last asked by
// the new size. When that was is not known here: all of the outage counts again.
func (b *bank) priceAgain(w *wire) {
	b.mu.Lock()
	defer b.mu.Unlock()
	since := w.down()
	if since == 0 {
		return
	}
	for _, m := range b.fleets {
		share, _ := shareOf(b.sim.limit(m.id).now(), w.replicas())
		m.tokens = min(m.tokens+share, m.most)
	}
	for at, h := range b.holders {
		if at.who == w.who {
			h.share.at = min(h.share.at, since)
		}
	}
}

// unpaid says what a replica still owes; "" is nothing.
func (b *bank) unpaid(who int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, h := range b.holders {
		if at.who != who || h.paid == h.owed || (h.forgiven && h.paidAt > h.owedAt) {
			continue
		}
		return fmt.Sprintf("replica %d, %s %s: %d of %d tokens paid", who, at.id.Name, at.id.Key, h.paid, h.owed)
	}
	return ""
}
