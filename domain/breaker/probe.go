package breaker

import "github.com/holdfast-go/holdfast/domain"

// A ProbeAsk asks for a probe lease, or settles one.
type ProbeAsk struct {
	Replica string
	Known   uint64 // the epoch that the asker knows, or that the lease belongs to
	Token   uint64 // made by the asker; the same token is the same lease
	Settle  bool   // the probe ended
	Outcome domain.Outcome

	AloneMicro int64 // of a probe that failed: for how long the dependency asked to be left alone
}

// A ProbeAnswer answers a ProbeAsk.
type ProbeAnswer struct {
	Granted  bool
	ForMicro int64 // how long the lease still lasts
	View     View  // afterwards
}

// Probe grants and settles probe leases. An open breaker whose time has passed
// becomes half-open when a probe is asked for. Half-open ends by what the
// replicas that asked have seen:
//
//   - It closes after enough successes, when enough replicas saw an end of a
//     probe and at least as many saw success as did not.
//   - It reopens, for longer, when enough replicas saw only failed or expired
//     probes, and more than saw success; or after HalfOpenMicro, when any probe
//     ended and none is out.
//
// Enough replicas is MinReplicas at first, and after a while those that asked.
//
// Probe reports whether the view is to be published: the breaker moved to
// another epoch, or a lease is free again that another replica may wait for.
func (f *Fleet) Probe(nowMicro int64, r Rules, a ProbeAsk) (answer ProbeAnswer, publish bool) {
	if f.epoch == noEpoch && a.Known == noEpoch {
		return ProbeAnswer{View: f.absent()}, false
	}
	publish, ahead := f.enter(nowMicro, r, a.Replica, a.Known)
	if ahead {
		answer.View.Ahead = true
		return answer, false
	}
	epoch := f.epoch
	if !a.Settle && f.state == domain.StateOpen && nowMicro-f.atMicro >= f.forMicro {
		f.turnBy(a.Replica, domain.StateHalfOpen, nowMicro, f.rules.HalfOpenMicro)
	}
	if f.state == domain.StateHalfOpen {
		if !a.Settle && f.seen[a.Replica] == 0 {
			f.mark(a.Replica, askedOnly) // first: a lease that ends just now must not decide without this replica
		}
		f.expire(nowMicro)
		freed := f.halfOpen(nowMicro, a, &answer)
		publish = publish || (freed && f.asked > 1)
	}
	wait := answer.View.ForMicro
	answer.View = f.view(nowMicro, r)
	answer.View.ForMicro = max(answer.View.ForMicro, wait)
	return answer, publish || f.epoch != epoch
}

// halfOpen grants or settles, and decides whether half-open is over. It reports
// whether a lease came back. In answer.View it leaves only how long the asker
// has to wait.
func (f *Fleet) halfOpen(nowMicro int64, a ProbeAsk, answer *ProbeAnswer) (freed bool) {
	if f.decide(nowMicro, a.Replica) {
		return false
	}
	if a.Settle {
		freed = f.settle(nowMicro, a)
		if freed {
			f.decide(nowMicro, a.Replica)
		}
		return freed
	}
	answer.Granted, answer.ForMicro = f.grant(nowMicro, a)
	if !answer.Granted && f.served(a.Replica) {
		answer.View.ForMicro = f.fewerDecide(nowMicro)
	}
	return false
}

// expire counts the probes whose lease is over as failed.
func (f *Fleet) expire(nowMicro int64) {
	kept := f.leases[:0]
	for _, l := range f.leases {
		if nowMicro-l.atMicro < l.forMicro {
			kept = append(kept, l)
			continue
		}
		f.mark(l.replica, sawNoSuccess)
	}
	f.leases = kept
}

// mark records what became of a replica's probe; a success stays one.
func (f *Fleet) mark(replica string, as byte) {
	was := f.seen[replica]
	if was == as || was == sawSuccess {
		return
	}
	if was == 0 {
		f.asked++
	}
	if was == sawNoSuccess {
		f.failed--
	}
	switch as {
	case sawSuccess:
		f.good++
	case sawNoSuccess:
		f.failed++
	}
	if f.seen == nil {
		f.seen = make(map[string]byte)
	}
	f.seen[replica] = as
}

// grant gives a lease, unless they are all out or another probe of this replica
// would decide nothing. The same token is the same lease.
func (f *Fleet) grant(nowMicro int64, a ProbeAsk) (granted bool, forMicro int64) {
	for _, l := range f.leases {
		if l.token == a.Token {
			return true, l.rest(nowMicro)
		}
	}
	if f.served(a.Replica) || int64(len(f.leases)) >= f.rules.Probes {
		return false, 0
	}
	f.leases = append(f.leases, lease{a.Token, a.Replica, nowMicro, f.rules.LeaseMicro})
	return true, f.rules.LeaseMicro
}

// served reports whether another probe of a replica would decide nothing: one
// failed in this epoch, or enough succeeded, this replica's among them. The lease
// is for others then, who may come later than it each time.
func (f *Fleet) served(replica string) bool {
	switch f.seen[replica] {
	case sawNoSuccess:
		return true
	case sawSuccess:
		return f.succeeded >= f.rules.Successes
	default:
		return false
	}
}

// fewerDecide is how long it takes until fewer replicas may decide; when they
// may already, it is when to look again.
func (f *Fleet) fewerDecide(nowMicro int64) int64 {
	wait := f.rules.probeWait()
	if rest := wait - (nowMicro - f.atMicro); rest > 0 {
		return rest
	}
	return wait
}

// settle takes a lease back. It reports false when there is none: it expired,
// or belongs to an earlier epoch.
func (f *Fleet) settle(nowMicro int64, a ProbeAsk) bool {
	if a.Known != f.epoch {
		return false
	}
	for i, l := range f.leases {
		if l.token != a.Token {
			continue
		}
		f.leases = append(f.leases[:i], f.leases[i+1:]...)
		switch a.Outcome {
		case domain.Success:
			f.succeeded++
			f.mark(l.replica, sawSuccess)
		case domain.Failure:
			f.mark(l.replica, sawNoSuccess)
			f.leaveAlone(nowMicro, a.AloneMicro)
		case domain.LocalFailure, domain.Ignored: // the slot is back, and nothing was learnt
		}
		return true
	}
	return false
}

// decide ends half-open by the word of a replica, or reports false.
func (f *Fleet) decide(nowMicro int64, by string) bool {
	since := nowMicro - f.atMicro
	enough := f.rules.MinReplicas
	if since >= f.rules.probeWait() {
		enough = max(1, min(enough, f.asked))
	}
	switch {
	case f.succeeded >= f.rules.Successes && f.good+f.failed >= enough && f.good >= f.failed:
		f.turnBy(by, domain.StateClosed, nowMicro, f.rules.RampMicro)
	case f.failed >= enough && f.failed > f.good,
		since > f.forMicro && f.good+f.failed > 0 && len(f.leases) == 0:
		f.growth++
		f.turnBy(by, domain.StateOpen, nowMicro, f.recovery(nowMicro, f.growth))
	default:
		return false
	}
	return true
}
