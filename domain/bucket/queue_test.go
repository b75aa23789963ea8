package bucket

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/domain"
)

// An admission is tokens that somebody had at an instant.
type admission struct{ micro, tokens, step int64 }

// excess is by how many credits admissions are above a band's envelope, at worst.
func excess(b Band, all []admission) (worst int64) {
	slices.SortFunc(all, func(a, b admission) int { return cmp.Compare(a.micro, b.micro) })
	level, at := int64(0), int64(0)
	for _, one := range all {
		level = max(level-b.Earn*(one.micro-at), 0) + one.tokens*b.Worth
		at, worst = one.micro, max(worst, level-b.Full)
	}
	return worst
}

// A crowd takes, waits, leaves the queue and spends leases, as it likes.
type crowd struct {
	*rand.Rand
	rule     Rule
	st       State
	now, seq int64
	admitted []admission
	waiting  []admission
	restored int64
	settles  bool // what was admitted turns out to have cost less; nothing is lent then
	naive    bool // what is left goes back whole, as if nobody had waited meanwhile
}

const morning = 1_795_000_000_000_000

func crowdOf(seed uint64, naive bool) *crowd {
	r := rand.New(rand.NewPCG(seed, 7))
	declared := domain.RateLimit{Limit: domain.Limit{Tokens: 1 + r.Int64N(20), Period: 1_000_000_000, Burst: 1 + r.Int64N(30)}}
	for i := range r.IntN(3) {
		above := declared.Limit
		if i > 0 {
			above = declared.Also[i-1]
		}
		declared.Also[i] = domain.Limit{Tokens: 1 + above.Tokens*2, Period: above.Period * 10, Burst: above.Burst + 1 + r.Int64N(20)}
	}
	rule, err := Compile(declared)
	if err != nil {
		panic(err)
	}
	return &crowd{Rand: r, rule: rule, now: morning, naive: naive, settles: r.IntN(2) == 0}
}

func (c *crowd) ask(ask Ask) (a Answer) {
	c.st.DecideOne(c.now, &c.rule, Manner{}, &ask, &a)
	return a
}

func (c *crowd) run(steps int) {
	for range steps {
		if c.now += c.Int64N(150_000); c.IntN(40) == 0 {
			c.now += c.Int64N(20_000_000)
		}
		cost := 1 + c.Int64N(1+c.rule.Burst()/2)
		switch c.IntN(8) {
		case 0, 1, 2, 3:
			for range 1 + c.IntN(6) {
				if a := c.ask(Ask{Cost: cost, Count: 1, WaitMicro: 1 + c.Int64N(MaxWaitMicro)}); a.Granted > 0 {
					c.waiting = append(c.waiting, admission{c.now + a.RetryMicro, cost, a.StepMicro})
				}
			}
		case 4:
			if a := c.ask(Ask{Cost: 1, Count: cost}); a.Granted > 0 {
				c.admitted = append(c.admitted, admission{c.now, a.Granted, 0})
			}
		case 5:
			if c.settles {
				c.settle()
			} else {
				c.lend(cost)
			}
		default:
			c.leave()
		}
	}
}

// leave gives up some of the places that are not due.
func (c *crowd) leave() {
	for n := c.IntN(8); n > 0 && len(c.waiting) > 0; n-- {
		i := c.IntN(len(c.waiting))
		if c.IntN(2) == 0 {
			i = len(c.waiting) - 1
		}
		gone := c.waiting[i]
		if gone.micro <= c.now || gone.tokens < 0 {
			continue
		}
		c.waiting = slices.Delete(c.waiting, i, i+1)
		back := &Return{ID: LeaseID{Start: 1, Seq: uint64(c.seq + 1)}, Tokens: gone.tokens, DueMicro: gone.micro, StepMicro: gone.step}
		if c.seq++; c.naive {
			c.st.enter(c.now, &c.rule, Manner{})
			c.st.giveBack(gone.tokens)
			c.restored += gone.tokens
			continue
		}
		c.restored += c.ask(Ask{Return: back}).Granted
	}
}

// settle gives back a part of what was admitted, some time after.
func (c *crowd) settle() {
	for _, all := range [][]admission{c.admitted, c.waiting} {
		if len(all) == 0 {
			continue
		}
		one := all[c.IntN(len(all))]
		if one.micro > c.now || one.tokens <= 0 {
			continue
		}
		c.seq++
		a := c.ask(Ask{Return: &Return{ID: LeaseID{Start: 1, Seq: uint64(c.seq)}, Tokens: 1 + c.Int64N(one.tokens)}})
		c.admitted = append(c.admitted, admission{c.now, -a.Granted, 0})
	}
}

// lend takes tokens ahead, and spends them just before the lease ends or at once.
func (c *crowd) lend(most int64) {
	c.seq++
	a := c.ask(Ask{Cost: 1, Count: most, Lease: &LeaseAsk{ID: LeaseID{Start: uint64(c.seq), Seq: 1}, Milli: 1 + c.Int64N(3000)}})
	if a.Granted > 0 {
		l, _ := c.st.leaseOf(LeaseID{Start: uint64(c.seq), Seq: 1})
		at := c.now
		if c.IntN(3) > 0 {
			at = l.endMicro() - 1
		}
		c.admitted = append(c.admitted, admission{at, a.Granted, 0})
	}
}

// Rule L7: whoever waits, leaves and takes ahead beside others, what is admitted
// stays below the burst and the rate, in every band and in every interval. Giving
// back plainly what was taken breaks that.
func TestQueuesKeepTheLimit(t *testing.T) {
	t.Parallel()
	const seeds = 1000
	for _, naive := range []bool{false, true} {
		broken, restored := 0, int64(0)
		for seed := range uint64(seeds) {
			c := crowdOf(seed, naive)
			c.run(600)
			all, over := slices.Concat(c.admitted, c.waiting), false
			for i := range c.rule.Count() {
				if by := excess(c.rule.Bands[i], all); by >= c.rule.Bands[i].Earn { // dues are whole µs
					over = true
					if !naive {
						t.Errorf("seed %d: %d credits above the envelope of band %d, %+v", seed, by, i, c.rule.Bands[i])
					}
				}
			}
			if over {
				broken++
			}
			restored += c.restored
		}
		if naive && broken < seeds/2 {
			t.Errorf("the naive way was caught in %d of %d runs only", broken, seeds)
		}
		if restored < 10_000 {
			t.Errorf("only %d tokens came back: the crowd is too tame", restored)
		}
		t.Logf("naive %v: %d of %d runs above the envelope, %d tokens came back", naive, broken, seeds, restored)
	}
}
