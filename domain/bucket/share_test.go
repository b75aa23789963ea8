package bucket

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain"
)

// A share starts empty, and earns the limit divided by the replicas.
func TestShareStartsEmpty(t *testing.T) {
	t.Parallel()
	rule := ruleOf(t, domain.PerSecond(10))
	var s Share
	s.Earn(rule, 4, 0)
	for i, step := range []struct {
		elapsed, cost int64
		ok            bool
		retry         int64
		why           string
	}{
		{0, 1, false, 400_000, "a token takes four times as long with four replicas"},
		{399_999, 1, false, 1, "and not a µs less"},
		{1, 1, true, 0, "then it is there"},
		{1_000_000_000, 2, true, 0, "a quarter of the burst, two tokens, is saved up"},
		{0, 1, false, 400_000, "and no more"},
		{800_000, 10, true, 0, "a cost above the share passes when it is full"},
		{3_200_000, 1, false, 400_000, "and is then paid off, eight tokens"},
		{400_000, 1, true, 0, "before the next"},
	} {
		s.Earn(rule, 4, step.elapsed)
		if ok, retry, _ := s.Take(step.cost); ok != step.ok || retry != step.retry {
			t.Fatalf("step %d: Take(%d) = %v, %d; want %v, %d: %s", i, step.cost, ok, retry, step.ok, step.retry, step.why)
		}
	}
}

// Between outages a share is kept, and not refilled.
func TestShareIsKeptBetweenOutages(t *testing.T) {
	t.Parallel()
	rule := ruleOf(t, domain.PerSecond(10))
	var s Share
	s.Earn(rule, 1, 300_000)
	s.Take(2)
	s.Earn(rule, 1, 0) // the next outage begins
	if ok, _, _ := s.Take(2); ok {
		t.Error("two tokens are there; want the one that was left")
	}
	if ok, _, _ := s.Take(1); !ok {
		t.Error("the token that was left is gone")
	}
}

// A share never gives more than it has earned, except that a cost above its
// capacity passes into debt when it is full; and it never has more than its part
// of the burst.
func TestShareIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := anyRule(t, "rule")
		replicas := rapid.IntRange(1, 100).Draw(t, "replicas")
		var s Share
		elapsed, taken := int64(0), new(big.Int)
		var over [domain.MaxBands]int64
		for range rapid.IntRange(1, 50).Draw(t, "takes") {
			pause := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 2*rule.Bands[0].TokenMicro()*int64(replicas))).Draw(t, "pause")
			elapsed += pause
			s.Earn(rule, replicas, pause)
			cost := rapid.OneOf(rapid.Just(int64(1)), rapid.Int64Range(1, rule.Burst())).Draw(t, "cost")
			ok, retry, _ := s.Take(cost)
			if ok {
				taken.Add(taken, big.NewInt(cost))
				for i := range rule.Count() {
					over[i] = max(over[i], cost-s.part(i).Burst())
				}
			} else {
				later := s
				early := later
				if early.Earn(rule, replicas, retry-1); pass(&early, cost) {
					t.Fatalf("cost %d is there a µs before %d", cost, retry)
				}
				if later.Earn(rule, replicas, retry); !pass(&later, cost) {
					t.Fatalf("cost %d is not there after %d µs", cost, retry)
				}
			}
			for i := range rule.Count() {
				if most := s.part(i).Full; s.credits[i] > most {
					t.Fatalf("%d credits in band %d; want at most %d", s.credits[i], i, most)
				}
			}
		}
		for i, b := range rule.Bands[:rule.Count()] {
			spent := new(big.Int).Mul(taken, big.NewInt(b.Worth)) // in 1/replicas of credits
			spent.Mul(spent, big.NewInt(int64(replicas)))
			earned := new(big.Int).Mul(big.NewInt(elapsed), big.NewInt(b.Earn))
			earned.Add(earned, new(big.Int).Mul(big.NewInt(over[i]*b.Worth), big.NewInt(int64(replicas))))
			if spent.Cmp(earned) > 0 {
				t.Fatalf("%d taken of %d earned in band %d", spent, earned, i)
			}
		}
	})
}

// Who owes a part of a token owes a whole one after a change: rounded the other
// way, each change would forgive some.
func TestShareOwesWholeTokensAfterAChange(t *testing.T) {
	t.Parallel()
	rule := ruleOf(t, domain.PerSecond(1).WithBurst(4))
	var s Share
	s.Earn(rule, 4, 4_000_000)
	if ok, _, _ := s.Take(2); !ok {
		t.Fatal("a cost above the share does not pass, although it is full")
	}
	s.Earn(rule, 4, 2_000_000) // half of the token that is owed
	s.Earn(rule, 2, 0)
	if ok, retry, _ := s.Take(1); ok || retry != 4_000_000 {
		t.Errorf("Take(1) = %v, %d; want 4 s, for the token owed and the one asked for", ok, retry)
	}
}

// A change of the limit or of the replicas keeps at most the tokens that were
// there, and a debt no smaller than it was, up to a burst.
func TestShareNeverMintsAtAChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, to := anyRule(t, "from"), anyRule(t, "to")
		before, after := rapid.IntRange(1, 50).Draw(t, "before"), rapid.IntRange(1, 50).Draw(t, "after")
		var s Share
		earned := rapid.OneOf(rapid.Just(int64(1)<<60), rapid.Int64Range(0, 3*from.Bands[0].TokenMicro()*int64(before)))
		s.Earn(from, before, earned.Draw(t, "earned"))
		s.Take(rapid.Int64Range(1, from.Burst()).Draw(t, "cost"))
		s.Earn(from, before, rapid.Int64Range(0, from.Bands[0].TokenMicro()*int64(before)).Draw(t, "since"))
		was := s
		s.Earn(to, after, 0)
		for i := range to.Count() {
			had, has := new(big.Rat), big.NewRat(s.credits[i], s.part(i).Worth)
			if i < from.Count() {
				had.SetFrac64(was.credits[i], was.part(i).Worth)
			}
			if has.Cmp(had) > 0 && has.Cmp(big.NewRat(-to.Bands[i].Burst(), 1)) > 0 {
				t.Fatalf("%s tokens became %s in band %d", had.FloatString(3), has.FloatString(3), i)
			}
		}
	})
}

// However many replicas are cut off, together they admit no more than the limit
// earns, and a token each.
func TestSharesTogetherAreTheLimit(t *testing.T) {
	t.Parallel()
	rule := ruleOf(t, domain.PerSecond(1000).WithBurst(100))
	const replicas, seconds = 7, 60
	total := int64(0)
	for range replicas {
		var s Share
		for range seconds * 1000 {
			s.Earn(rule, replicas, 1000)
			for {
				if ok, _, _ := s.Take(1); !ok {
					break
				}
				total++
			}
		}
	}
	if total > seconds*1000 || total < seconds*1000-replicas {
		t.Errorf("%d replicas admitted %d in %d s; want %d", replicas, total, seconds, seconds*1000)
	}
}
