package bucket

import "github.com/holdfast-go/holdfast/domain"

// A Share is one replica's part of a limit while the store is out of reach: a
// bucket that starts empty, earns the limit divided by the replicas while the
// outage lasts, and is kept, not refilled, between outages. A replica that
// started full would add a burst at each lost reply.
//
// The zero Share is an empty one. It is not safe for concurrent use.
type Share struct {
	credits [domain.MaxBands]int64 // in 1/replicas of the rule's credits
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
	parts := int64(max(replicas, 1))
	for i := range r.Count() {
		parts = min(parts, shareMax/r.Bands[i].Full)
	}
	s.adopt(r, parts)
	for i := range r.Count() {
		part := s.part(i)
		s.credits[i] = part.refill(s.credits[i], max(elapsedMicro, 0), part.Full)
	}
}

// part is this replica's part of a band.
func (s *Share) part(i int) Band {
	b := s.rule.Bands[i]
	token := b.Worth * s.count
	return Band{Earn: b.Earn, Worth: token, Full: max(b.Burst()/s.count, 1) * token}
}

// adopt keeps the whole tokens of each band when the rule or the number of
// replicas changed, and of a debt, rounded up, no more than a burst.
func (s *Share) adopt(r Rule, replicas int64) {
	if s.rule == r && s.count == replicas {
		return
	}
	var tokens [domain.MaxBands]int64
	for i := range s.rule.Count() {
		worth := s.part(i).Worth
		if tokens[i] = s.credits[i] / worth; s.credits[i]%worth < 0 {
			tokens[i]--
		}
	}
	s.rule, s.count = r, replicas
	for i := range r.Count() {
		part := s.part(i)
		s.credits[i] = min(max(tokens[i], -r.Bands[i].Burst()), part.Burst()) * part.Worth
	}
}

// Tokens is how many whole tokens are there in all bands. Earn must have been
// called before.
func (s *Share) Tokens() int64 {
	fewest := max(s.credits[0], 0) / s.part(0).Worth
	for i := 1; i < s.rule.Count(); i++ {
		fewest = min(fewest, max(s.credits[i], 0)/s.part(i).Worth)
	}
	return fewest
}

// Take takes cost tokens, if they are there in all bands. A cost above the
// capacity of a band passes when that is full, and leaves it in debt. Else it
// reports how long the outage must go on earning, in µs, and the band that must
// be waited for. Earn must have been called before.
func (s *Share) Take(cost int64) (ok bool, retryMicro int64, band int) {
	for i := range s.rule.Count() {
		part := s.part(i)
		short := min(cost*part.Worth, part.Full) - s.credits[i]
		if short > 0 && part.micro(short) > retryMicro {
			retryMicro, band = part.micro(short), i
		}
	}
	if retryMicro > 0 {
		return false, retryMicro, band
	}
	for i := range s.rule.Count() {
		s.credits[i] -= cost * s.part(i).Worth
	}
	return true, 0, 0
}
