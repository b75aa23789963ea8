package bucket

import "github.com/holdfast-go/holdfast/domain"

// The constants of the protocol, in µs.
const (
	skewMicro  = 5_000_000  // a bucket further in the future than this is re-based
	turnMicro  = 1_000_000  // the longest turn that is handed out
	claimMicro = 60_000_000 // a claim that nobody brought for so long falls
)

// billsKept is how many bills a bucket remembers, to charge each once.
const billsKept = 8

// A State is one bucket as it is stored. The zero State is a bucket that is not
// there, which is the same as a full one. Times beside AtMicro are lengths, so
// that a clock which steps back moves them all.
type State struct {
	Credits    [domain.MaxBands]int64 // of each band, up to Full; below 0 they are a debt
	AtMicro    int64                  // the store's clock, Unix µs, at which all this was true
	Rule       Rule                   // whose numbers decide
	Turn       int64                  // µs after AtMicro up to which turns are handed out
	Challenged int64                  // µs since another rule was brought, negative when this one was since; 0 = not within a minute
	Bills      [billsKept]uint64
	Leases     *Leases     // nil = none
	Blocked    int64       // Unix ms until which nothing is granted; 0 = it is not blocked
	Ahead      int64       // µs after AtMicro at which Credits hold: until then all is promised to those who wait
	Returners  *[]Returner // nil = none; replaced as a whole, never changed
	Kept       int64       // for how many µs after AtMicro a full bucket is remembered; 0 = it is as good as none
}

// firstMicro is for how long a bucket that does not begin full is remembered.
const firstMicro = 3_600_000_000

// A Manner is what a caller has to say beside a rule. The zero Manner carries tokens over
// in proportion, and begins with full buckets.
type Manner struct {
	// Carry is how tokens are carried over where other numbers were stored.
	Carry domain.Carry
	// First is with how many tokens a bucket begins that is not there; 0 = full, below
	// that it is empty.
	First int64
}

// An Ask is one question to a bucket.
type Ask struct {
	// Cost is what one call takes, in tokens. 0 peeks and changes nothing; with
	// Turn, the bucket is written as it is, which shows that the store can.
	// Below 0 it is refused as a cost above the burst is.
	Cost int64
	// Count is how many calls of Cost each are asked for, one after the other.
	// Below 1 it is refused likewise.
	Count int64
	// Turn says that the asker stays silent for as long as the answer to a
	// denial says, and so is given its turn among the others who were denied.
	Turn bool
	// Bill, when not 0, makes this a charge for tokens that were admitted while
	// the store was out of reach: Cost tokens are taken once for each Bill,
	// into debt where they are not there, but never below an empty bucket's
	// worth of it. Count is then 1 and is always granted.
	Bill uint64
	// Lease, when not nil, asks for Count tokens ahead.
	Lease *LeaseAsk
	// Order, when not nil, is an operator's.
	Order *Order
	// Return, when not nil, changes what was taken before.
	Return *Return
	// WaitMicro, when above 0, asks for a place in the bucket's queue no further
	// away than that, in µs. Count is then 1, and Turn not looked at. Where it is
	// granted, the Answer's RetryMicro is how far: the tokens are the asker's from
	// then on, and not before. Further than MaxWaitMicro none is given.
	WaitMicro int64
}

// isCall reports whether calls are asked for, and nothing of another kind.
func (ask *Ask) isCall() bool {
	return ask.Bill == 0 && ask.Lease == nil && ask.Order == nil && ask.Return == nil
}

// IsPlain reports whether calls are asked for that take something, and are not to wait.
func (ask *Ask) IsPlain() bool {
	return ask.isCall() && ask.WaitMicro <= 0 && ask.Cost > 0 && ask.Count > 0
}

// An Answer answers one Ask.
type Answer struct {
	Granted    int64 // the first so many of Count
	Remaining  int64 // whole tokens left, in the band that has the fewest
	RetryMicro int64 // µs until asking again is useful, when not all were granted; Never; or until a place is due
	Band       int   // then, the first of the bands that must be waited for longest
	StepMicro  int64 // of a place in the queue: µs that it is due after all before it
}

// Never is the RetryMicro of a cost above the burst, and of nonsense.
const Never = -1

// Decide answers asks in order, at the time nowMicro of the store's clock, for a caller
// that brings the rule r, in that manner, and leaves the bucket as it is afterwards.
// It reports whether another rule than r decided. A bucket that did not change
// is left as it was. len(answers) must be at least len(asks).
func (st *State) Decide(nowMicro int64, r *Rule, how Manner, asks []Ask, answers []Answer) (foreign bool) {
	next := *st
	changed := next.enter(nowMicro, r, how)
	turn, token := next.Turn, int64(0) // the time of one in the slowest band that denied
	peeked := true                     // only
	for i := range asks {
		ask := &asks[i] // copying one takes as long as deciding it
		takesTurn := ask.Turn && ask.WaitMicro <= 0
		peeked = peeked && ask.isCall() && ask.Cost == 0 && ask.Count > 0 && !takesTurn
		var wrote bool
		answers[i], wrote = next.answer(nowMicro, ask)
		changed = changed || wrote || (ask.Cost == 0 && takesTurn && ask.Lease == nil)
		if a := &answers[i]; ask.Order == nil && a.Granted < ask.Count && a.RetryMicro > 0 {
			if takesTurn {
				token = max(token, next.turnOf(ask, a.Band))
				a.RetryMicro = max(a.RetryMicro, turn)
			}
			changed = next.makeRoom(ask, a.RetryMicro) || changed
		}
	}
	if token > 0 {
		next.Turn = min(turn+token, turnMicro)
		changed = true
	}
	if changed && !peeked {
		if next.Kept = 0; how.First != 0 {
			next.Kept = firstMicro
		}
		*st = next
	}
	return next.Rule != *r
}

// turnOf is how long the turn is that a denied ask is given, in µs: the time of a
// token, or of the tokens that it would lend.
func (st *State) turnOf(ask *Ask, band int) int64 {
	b := st.Rule.Bands[band]
	if ask.Lease == nil {
		return b.TokenMicro()
	}
	return b.micro(ask.Cost * b.Worth)
}

// DecideOne is Decide for one ask. a must be zero.
func (st *State) DecideOne(nowMicro int64, r *Rule, how Manner, ask *Ask, a *Answer) (foreign bool) {
	if st.brief(nowMicro, r, how, ask, a) {
		return false
	}
	asks, answers := [1]Ask{*ask}, [1]Answer{}
	foreign = st.Decide(nowMicro, r, how, asks[:], answers[:])
	*a = answers[0]
	return foreign
}

// briefMost is a cost of which no rule's credits overflow, so that it needs no
// division to be sure.
const briefMost = 1 << 12

// brief answers one ask of one bucket of one band with nothing unusual about it:
// that is most calls, and the way of the others copies the state. It reports false
// for those, and has changed nothing then. The two agree wherever this one answers.
func (st *State) brief(nowMicro int64, r *Rule, how Manner, ask *Ask, a *Answer) (ok bool) {
	b := &r.Bands[0]
	if ask.Cost < 1 || ask.Cost > briefMost || ask.Count < 1 || ask.Turn || ask.WaitMicro > 0 || !ask.isCall() ||
		how.First != 0 || r.Bands[1].Earn != 0 || st.AtMicro-nowMicro > skewMicro || st.isUnusual() || st.Rule != *r {
		return false
	}
	nowMicro = max(nowMicro, st.AtMicro) // a clock that stepped back a little refills nothing
	credits, want := b.refill(st.Credits[0], nowMicro-st.AtMicro, b.Full), ask.Cost*b.Worth
	if want > b.Full {
		return false
	}
	switch {
	case credits < want:
	case ask.Count == 1:
		a.Granted = 1
	default:
		a.Granted = min(ask.Count, credits/want)
	}
	if a.Granted > 0 {
		credits -= a.Granted * want
		st.Credits[0], st.AtMicro = credits, nowMicro
	}
	a.Remaining = max(credits, 0) / b.Worth
	if a.Granted < ask.Count {
		a.RetryMicro = b.micro(want - credits)
	}
	return true
}

// isUnusual reports whether there is more to a bucket than its credits.
func (st *State) isUnusual() bool {
	return st.Kept != 0 || st.Turn != 0 || st.Challenged != 0 || st.Bills[0] != 0 || st.Leases != nil || st.Blocked != 0 || st.Ahead != 0 ||
		st.Returners != nil
}

// enter brings st to nowMicro and settles whose rule decides. It reports
// whether that must be kept: the passing of time alone need not.
func (st *State) enter(nowMicro int64, r *Rule, how Manner) (changed bool) {
	if st.Rule == (Rule{}) {
		return st.begin(nowMicro, r, how.First)
	}
	idle := nowMicro - st.AtMicro
	rebased := st.advance(nowMicro)
	switch {
	case st.isFull() && (st.Kept == 0 || idle >= st.Kept):
		return st.begin(st.AtMicro, r, how.First)
	case st.isFull():
		return st.begin(st.AtMicro, r, 0)
	}
	return st.claim(r, how) || rebased
}

// begin makes a new bucket, and reports whether it is another one than none.
func (st *State) begin(atMicro int64, r *Rule, first int64) (changed bool) {
	*st = State{Credits: r.full(), AtMicro: atMicro, Rule: *r}
	if first == 0 {
		return false
	}
	for i := range r.Count() {
		b := r.Bands[i]
		st.Credits[i] = min(max(first, 0), b.Burst()) * b.Worth
	}
	return st.Credits != r.full()
}

// advance refills st up to nowMicro. A clock that stepped back refills nothing;
// one that is far behind the bucket re-bases it, which must be kept: else the
// bucket would wait for the clock to come back to it.
func (st *State) advance(nowMicro int64) (rebased bool) {
	if st.AtMicro-nowMicro > skewMicro {
		st.shift(st.AtMicro - nowMicro)
		st.Blocked = max(st.Blocked-(st.AtMicro-nowMicro)/1000, 0)
		st.AtMicro = nowMicro
		return true
	}
	elapsed := nowMicro - st.AtMicro
	if elapsed <= 0 {
		return false
	}
	st.earn(st.AtMicro+st.Ahead, nowMicro)
	st.AtMicro, st.Ahead = nowMicro, max(st.Ahead-elapsed, 0)
	st.expire()
	st.forget()
	if st.blockedMicro() == 0 {
		st.Blocked = 0
	}
	st.Turn = max(st.Turn-elapsed, 0)
	switch {
	case st.Challenged > 0:
		st.Challenged = min(st.Challenged+elapsed, claimMicro)
	case st.Challenged-elapsed <= -claimMicro:
		st.Challenged = 0
	case st.Challenged < 0:
		st.Challenged -= elapsed
	}
	return false
}

// contestedMicro is how long it is still remembered that two rules are brought.
// Until then the better one decides also where the bucket is full: else each
// time that it is, the other one's burst could be had as well.
func (st *State) contestedMicro() int64 {
	switch {
	case st.Challenged > 0:
		return claimMicro - st.Challenged
	case st.Challenged < 0:
		return claimMicro + st.Challenged
	default:
		return 0
	}
}

// claim settles whose rule decides when r is brought.
func (st *State) claim(r *Rule, how Manner) (changed bool) {
	switch {
	case *r == st.Rule && st.Challenged > 0:
		st.Challenged = -1
		return true
	case *r == st.Rule:
		return false
	case r.better(&st.Rule):
		st.adopt(r, how)
		st.Challenged = -1
		return true
	case st.Challenged >= claimMicro:
		st.adopt(r, how)
		st.Challenged = 0
		return true
	case st.Challenged <= 0:
		st.Challenged = 1
		return true
	default:
		return false
	}
}

// adopt goes on by another rule. What is lent stays so. Turns that were handed out are of
// the old one's time: who asks now would wait for tokens that are long there.
func (st *State) adopt(r *Rule, how Manner) {
	st.Credits = r.carry(how.Carry, &st.Rule, st.Credits)
	st.Rule, st.Turn = *r, 0
	if st.Leases == nil {
		return
	}
	lent := st.lent()
	for i := range r.Count() {
		st.Credits[i] = min(st.Credits[i], r.Bands[i].cap(lent))
	}
}

func (st *State) answer(nowMicro int64, ask *Ask) (a Answer, wrote bool) {
	switch {
	case ask.Return != nil:
		return st.takeBack(ask.Return)
	case ask.Order != nil:
		st.obey(ask.Order)
		return Answer{Granted: 1, Remaining: st.remaining()}, true
	case ask.Lease != nil:
		return st.lease(ask)
	case ask.Bill != 0:
		wrote = st.charge(ask.Bill, ask.Cost)
		return Answer{Granted: ask.Count, Remaining: st.remaining()}, wrote
	case ask.Cost < 0 || ask.Count < 1 || ask.Cost > st.Rule.Burst():
		return Answer{Remaining: st.remaining(), RetryMicro: Never}, false
	case ask.Cost == 0:
		a.Granted = ask.Count
		a.RetryMicro, a.Band = st.waitFor(1)
	case ask.WaitMicro > 0:
		a, wrote = st.queue(nowMicro, ask)
		a.Remaining = st.remaining()
		return a, wrote
	case st.blockedMicro() > 0 || st.Ahead > 0:
		a.RetryMicro, a.Band = st.waitFor(ask.Cost)
	default:
		a.Granted = st.take(ask.Cost, ask.Count)
		if a.Granted < ask.Count {
			a.RetryMicro, a.Band = st.waitFor(ask.Cost)
		}
	}
	a.Remaining = st.remaining()
	return a, ask.Cost > 0 && a.Granted > 0
}

// take takes as many of count times cost tokens as there are in every band.
func (st *State) take(cost, count int64) (granted int64) {
	granted = count
	for i := range st.Rule.Count() {
		granted = min(granted, max(st.Credits[i], 0)/(cost*st.Rule.Bands[i].Worth))
	}
	for i := range st.Rule.Count() {
		st.Credits[i] -= granted * cost * st.Rule.Bands[i].Worth
	}
	return granted
}

// charge takes tokens for a bill that was not charged yet.
func (st *State) charge(bill uint64, tokens int64) (wrote bool) {
	for _, paid := range st.Bills {
		if paid == bill {
			return false
		}
	}
	copy(st.Bills[1:], st.Bills[:billsKept-1])
	st.Bills[0] = bill
	for i := range st.Rule.Count() {
		st.Credits[i] = st.Rule.Bands[i].charge(st.Credits[i], tokens)
	}
	return true
}

// remaining is the whole tokens in the band that has the fewest; none while some wait.
func (st *State) remaining() int64 {
	if st.Ahead > 0 {
		return 0
	}
	fewest := max(st.Credits[0], 0) / st.Rule.Bands[0].Worth
	for i := 1; i < st.Rule.Count(); i++ {
		fewest = min(fewest, max(st.Credits[i], 0)/st.Rule.Bands[i].Worth)
	}
	return fewest
}

// waitFor is the time until tokens are there in all bands, in µs, rounded up,
// and the first band that takes so long; or until the bucket is no longer blocked.
func (st *State) waitFor(tokens int64) (micro int64, band int) {
	for i := range st.Rule.Count() {
		if due := st.due(i, tokens*st.Rule.Bands[i].Worth); due > micro {
			micro, band = due, i
		}
	}
	return max(micro, st.blockedMicro()), band
}

// isFull reports whether st is the same as a bucket that is not there: it is
// full, no turn is out, nothing is lent or was given back lately, nobody waits, it is
// not blocked and its rule is not contested.
func (st *State) isFull() bool {
	return st.Credits == st.Rule.full() && st.Leases == nil && st.Blocked == 0 && st.Ahead == 0 && st.Returners == nil && st.Turn == 0 &&
		st.contestedMicro() == 0
}

// FullMicro is the time after AtMicro from which st is the same as a bucket that
// is not there.
func (st *State) FullMicro() int64 {
	micro := max(st.Turn, st.contestedMicro(), st.blockedMicro(), st.Kept)
	if st.Leases != nil {
		micro = max(micro, st.Leases.RoomMilli*1000-st.AtMicro)
	}
	if st.Returners != nil {
		for _, r := range *st.Returners {
			micro = max(micro, r.endMicro()-st.AtMicro)
		}
	}
	for i := range st.Rule.Count() {
		micro = max(micro, st.due(i, st.Rule.Bands[i].Full))
	}
	return micro
}
