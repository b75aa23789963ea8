package bucket

// A Share is one replica's part of a limit while the store is out of reach: a
// bucket that starts empty, earns the limit divided by the replicas while the
// outage lasts, and is kept, not refilled, between outages. A replica that
// started full would add a burst at each lost reply.
//
// The zero Share is an empty one. It is not safe for concurrent use.
type Share struct {
	credits int64 // in 1/replicas of the rule's credits
	rule    Rule
	count   int64
}

// shareMax bounds the credits of a full share, so that no sum of them overflows.
// A bucket of the largest size has 4,096 parts then, and an ordinary one more
// than there can be replicas.
const shareMax = 1 << 61

// Earn adds what elapsedMicro µs of outage earn under the rule r, divided among
// that many replicas (at least 1).
func (s *Share) Earn(r Rule, replicas int, elapsedMicro int64) {
	s.adopt(r, min(int64(max(replicas, 1)), shareMax/r.Full))
	toFull := ceilDiv(max(s.full()-s.credits, 0), r.Earn)
	s.credits = min(s.credits+r.Earn*min(max(elapsedMicro, 0), toFull), s.full())
}

// adopt keeps the whole tokens when the rule or the number of replicas changed,
// and of a debt, rounded up, no more than a burst.
func (s *Share) adopt(r Rule, replicas int64) {
	if s.rule == r && s.count == replicas {
		return
	}
	tokens := int64(0)
	if s.count > 0 {
		tokens = s.credits / s.token()
		if s.credits%s.token() < 0 {
			tokens--
		}
	}
	s.rule, s.count = r, replicas
	s.credits = min(max(tokens, -r.Burst()), s.full()/s.token()) * s.token()
}

// full is the capacity: the burst divided by the replicas, at least one token.
func (s *Share) full() int64 { return max(s.rule.Burst()/s.count, 1) * s.token() }

func (s *Share) token() int64 { return s.rule.Worth * s.count }

// Take takes cost tokens, if they are there. A cost above the capacity passes
// when the share is full, and leaves it in debt. Else it reports how long the
// outage must go on earning, in µs. Earn must have been called before.
func (s *Share) Take(cost int64) (ok bool, retryMicro int64) {
	want := cost * s.token()
	need := min(want, s.full())
	if s.credits < need {
		return false, ceilDiv(need-s.credits, s.rule.Earn)
	}
	s.credits -= want
	return true, 0
}
