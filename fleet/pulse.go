package fleet

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A pulse keeps the copies of a replica's shared breakers fresh and sends its
// reports: one goroutine a shard, one call at a time, whatever the calls. A shard
// that hangs does not keep the others waiting.
type pulse struct {
	replica *Replica
	shard   *shard
	once    sync.Once
	wake    chan struct{} // an urgent report waits
	air     chan struct{} // holds one while calls are in the air
	parting parting
}

// flipsAtOnce is how many changes of opinion go at once between two refreshes: a
// ratio may stand on the edge for long, and change with every call.
const flipsAtOnce = 4

// reporting is what a replica last told the fleet about one breaker. It is
// under the breaker's lock.
type reporting struct {
	seq     uint64
	seqFrom uint64 // it began there: nothing was told yet
	sent    breaker.Evidence
	opinion opinion // that the fleet was told
	at      time.Duration
	changed bool         // something was counted since
	urgent  bool         // not to wait for the regular time
	flips   int          // changes of opinion sent since the last refresh
	state   domain.State // of the local layer, as last told by an event
}

// An opinion is what a replica's evidence comes to.
type opinion uint8

const (
	wellMeant opinion = iota // the dependency is not bad, or there is nothing to say
	badSoFar                 // bad, by what few calls there were
	tripped                  // bad, with full weight
)

// opinion requires that b.mu is held.
func (b *Breaker) opinion(e breaker.Evidence) opinion {
	switch {
	case !e.Bad:
		return wellMeant
	case b.local.State() == domain.StateClosed:
		return badSoFar
	default:
		return tripped
	}
}

// tellOpinion lets the fleet know at once when this replica's opinion has
// changed. It requires that b.mu is held.
func (b *Breaker) tellOpinion(now time.Duration) {
	if b.pulse == nil || !b.fleet.closed() || b.mute() {
		return
	}
	mine, told := b.opinion(b.local.Evidence(now)), b.report.opinion
	if mine == told || (mine == badSoFar && told == tripped) || (b.report.urgent && mine != tripped) {
		return
	}
	b.report.urgent = true
	if !b.shard.health.Up() || (b.report.flips >= flipsAtOnce && mine != tripped) {
		return // it goes with the next refresh
	}
	b.report.flips++
	b.pulse.nudge()
}

// pulseLocked makes or finds the pulse of a shard. It requires that r.mu is held.
func (r *Replica) pulseLocked(s *shard) *pulse {
	p := r.pulses[s]
	if p == nil {
		p = &pulse{replica: r, shard: s, wake: make(chan struct{}, 1), air: make(chan struct{}, 1)}
		r.pulses[s] = p
	}
	return p
}

// begin starts the pulse at the first use of a shared breaker.
func (p *pulse) begin() {
	p.once.Do(func() {
		p.replica.spawn(p.run)
		p.replica.watching.Do(func() { p.replica.spawn(p.replica.watch) })
	})
}

// nudge lets an urgent report go at once. It never blocks.
func (p *pulse) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run reports when something is urgent, and refreshes twice in MaxStaleness.
func (p *pulse) run(ctx context.Context) {
	every := p.replica.config.MaxStaleness / 2
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
			refresh := false
			select {
			case <-tick.C: // it is time for that too, and one beat does both
				refresh = true
			default:
			}
			p.beat(ctx, refresh)
		case <-tick.C:
			p.beat(ctx, true)
		}
	}
}

// A round is what the shard is told and asked in one beat.
type round struct {
	reporters, readers []*Breaker
	reports            []port.Report
	reads              []port.ID
	bringers           []*Breaker
	orders             []port.Order
}

// beat sends what is due.
func (p *pulse) beat(ctx context.Context, refresh bool) {
	if !p.fly(ctx) {
		return
	}
	defer func() { <-p.air }()
	var r round
	now := p.replica.clock.now()
	for _, b := range p.all() {
		b.join(now, refresh, &r)
	}
	if len(r.reporters)+len(r.readers)+len(r.bringers) > 0 {
		p.send(ctx, &r)
	}
	p.part(ctx)
}

// fly waits until nothing is in the air, unless ctx ends first.
func (p *pulse) fly(ctx context.Context) bool {
	select {
	case p.air <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *pulse) all() []*Breaker {
	return slices.DeleteFunc(p.replica.everyShared(), func(b *Breaker) bool { return b.pulse != p })
}

// join adds b to a round, if it has something to say or to learn.
func (b *Breaker) join(now time.Duration, refresh bool, r *round) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used.Swap(false) {
		b.fleet.usedAt = now
	}
	if refresh {
		b.report.flips = 0
		b.forced(now) // an end is noticed without calls, too
		b.regate()
		b.check.follow()
	}
	if b.fleet.order.bring {
		r.bringers, r.orders = append(r.bringers, b), append(r.orders, b.brought(now))
	}
	report := b.report.urgent || (refresh && b.due(now))
	if !report && !refresh && !b.fleet.order.behind() {
		return
	}
	if !report && !b.fleet.order.behind() && now-b.fleet.usedAt >= idleAfter {
		b.fleet.fresh = false // the next call reads first
		b.regate()
		return
	}
	if report {
		r.reporters = append(r.reporters, b)
		r.reports = append(r.reports, b.nextReport(now))
	}
	if !report || b.fleet.order.behind() {
		b.fleet.order.asked = b.fleet.order.heard
		r.readers = append(r.readers, b)
		r.reads = append(r.reads, b.id)
	}
}

// due reports whether the regular report is: a quarter of the window after the
// last one, and only if it would say something new. It requires b.mu. What an open layer
// says changes without calls, when its evidence is too old to count.
func (b *Breaker) due(now time.Duration) bool {
	counted := b.report.changed
	if !counted && b.local.State() == domain.StateClosed {
		return false
	}
	if !b.fleet.closed() || b.mute() || now-b.report.at < b.policy.Window/4 {
		return false
	}
	e, sent := b.local.Evidence(now), b.report.sent
	if e.Open != sent.Open || b.opinion(e) != b.report.opinion {
		return true
	}
	return counted && b.saysMore(now, e, sent)
}

// saysMore reports whether evidence with the same opinion as the last one says anything
// new. It requires that b.mu is held.
func (b *Breaker) saysMore(now time.Duration, e, sent breaker.Evidence) bool {
	return e.Calls != sent.Calls || e.Failures != sent.Failures || e.Weight != sent.Weight ||
		now+micros(e.ForMicro) > b.report.at+micros(sent.ForMicro)+time.Millisecond // the same, but it counts for longer
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// nextReport is this replica's whole evidence. It requires that b.mu is held.
func (b *Breaker) nextReport(now time.Duration) port.Report {
	e := b.local.Evidence(now)
	b.report.seq++
	e.Replica, e.Seq, e.Known = b.replica.incarnation, b.report.seq, b.fleet.epoch
	b.report.sent, b.report.opinion, b.report.at = e, b.opinion(e), now
	b.report.changed, b.report.urgent = false, false
	return port.Report{Breaker: b.id, Rules: b.rules, Evidence: e}
}

// send makes the calls of one round, unless the shard is down: then one read is
// its trial.
func (p *pulse) send(ctx context.Context, r *round) {
	if !p.shard.health.Up() {
		for _, b := range r.reporters {
			b.unsent()
		}
		p.shard.try(slices.Concat(r.readers, r.reporters, r.bringers)[0].look)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.replica.config.StoreTimeout)
	defer cancel()
	var both sync.WaitGroup
	if len(r.reports) > 0 {
		both.Go(func() { p.report(ctx, r) })
	}
	if len(r.orders) > 0 {
		both.Go(func() { p.bring(ctx, r) })
	}
	if len(r.reads) > 0 {
		p.read(ctx, r)
	}
	both.Wait()
}

func (p *pulse) report(ctx context.Context, r *round) {
	out := make([]port.View, len(r.reports))
	p.replica.stores.Breakers.Report(ctx, r.reports, out)
	p.shard.record(commonError(out))
	for i, b := range r.reporters {
		b.reply(out[i])
		if out[i].Err != nil {
			b.unsent()
			continue
		}
		b.reportAgain(r.reports[i], out[i])
	}
}

func (p *pulse) read(ctx context.Context, r *round) {
	out := make([]port.View, len(r.reads))
	p.replica.stores.Views.Read(ctx, r.reads, out)
	p.shard.recordRead(commonError(out))
	for i, b := range r.readers {
		b.take(out[i])
	}
}

// commonError is the error of one call for all views: one good answer says that
// the store answers.
func commonError(out []port.View) error {
	for i := range out {
		if out[i].Err == nil {
			return nil
		}
	}
	return out[0].Err
}

// unsent lets a report that was lost go again with the next refresh: it says
// the whole, so nothing else is needed.
func (b *Breaker) unsent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetReport()
}

// forgetReport takes what the fleet was told for not told. It requires that
// b.mu is held.
func (b *Breaker) forgetReport() {
	b.report.changed = true
	b.report.opinion = wellMeant
	b.report.at = -b.policy.Window
	b.report.sent = breaker.Evidence{Calls: -1}
}

// reportAgain sends the evidence once more when it did not count because the
// breaker was in an epoch that this replica had yet to learn.
func (b *Breaker) reportAgain(sent port.Report, got port.View) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	if sent.Known == 0 && got.Epoch == b.fleet.epoch && got.State == domain.StateClosed {
		b.report.urgent = true // it may have made the breaker, and then did count: twice is harmless
		b.pulse.nudge()
	}
}

// watch takes the pushed transitions, and comes back when the connection broke.
func (r *Replica) watch(ctx context.Context) {
	for {
		_ = r.stores.Views.Watch(ctx, r.pushed) // the pulses read what a broken watch misses
		pause := time.NewTimer(r.config.MaxStaleness/4 + r.jitter(r.config.MaxStaleness/4))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

func (r *Replica) pushed(id port.ID, v port.View) {
	if b, ok := r.breakerOf(id); ok && b.pulse != nil {
		b.pushed(v)
	}
}

// withdraw takes this replica's votes back when it closes, and gives back the
// leases of its probes.
func (r *Replica) withdraw(ctx context.Context) {
	r.mu.Lock()
	pulses := slices.Collect(maps.Values(r.pulses))
	r.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range pulses {
		all.Go(func() { p.withdraw(ctx) })
	}
	all.Wait()
}

// withdraw waits for what is in the air, which could otherwise arrive afterwards
// and vote again, and lets nothing fly after it.
func (p *pulse) withdraw(ctx context.Context) {
	if !p.fly(ctx) {
		return
	}
	var reports []port.Report
	var leases []port.ProbeRequest
	for _, b := range slices.Concat(p.all(), p.parting.take()) {
		votes, probes := b.withdrawal()
		reports, leases = append(reports, votes...), append(leases, probes...)
	}
	var both sync.WaitGroup
	if len(reports) > 0 {
		both.Go(func() { p.replica.stores.Breakers.Report(ctx, reports, make([]port.View, len(reports))) })
	}
	if len(leases) > 0 {
		p.replica.stores.Breakers.Probe(ctx, leases, make([]port.ProbeReply, len(leases)))
	}
	both.Wait()
}

// withdrawal is what the store has to forget of b.
func (b *Breaker) withdrawal() (votes []port.Report, leases []port.ProbeRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shard.health.Up() {
		return nil, nil
	}
	if b.report.seq > b.report.seqFrom && b.fleet.epoch != 0 && b.fleet.state == domain.StateClosed {
		leaving := b.nextReport(b.replica.clock.now())
		leaving.Evidence = breaker.Evidence{Replica: leaving.Replica, Seq: leaving.Seq, Known: leaving.Known, Leaving: true}
		votes = append(votes, leaving)
	}
	for _, held := range b.probe.held {
		leases = append(leases, b.settlement(held, domain.Ignored))
	}
	return votes, leases
}
