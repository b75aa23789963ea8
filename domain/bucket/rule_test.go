package bucket

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain"
)

// anyRule draws the rule of a valid policy: small numbers as teams write them,
// and the largest that pass; sometimes with further bands.
func anyRule(t *rapid.T, label string) Rule {
	return compiled(t, anyLimit(t, label), rapid.IntRange(0, domain.MaxBands-1).Draw(t, label+" further bands"), label)
}

// anySimpleRule draws a rule of one band.
func anySimpleRule(t *rapid.T, label string) Rule {
	return compiled(t, anyLimit(t, label), 0, label)
}

// compiled is a rule with further bands behind the limit, as far as they fit.
func compiled(t *rapid.T, first domain.Limit, further int, label string) Rule {
	p := domain.RateLimit{Limit: first, Version: rapid.Int64Range(0, 3).Draw(t, label+" version")}
	band := first
	for i := range further {
		slower := rapid.Int64Range(2, 1000).Draw(t, label+" slower")
		band.Period *= time.Duration(slower)
		band.Burst += rapid.Int64Range(1, band.Burst*slower).Draw(t, label+" more burst")
		if band.Period > 1e13*time.Microsecond || band.Validate() != nil {
			break
		}
		p.Also[i] = band
	}
	rule, err := Compile(p)
	if err != nil {
		t.Fatalf("%v: %v", p, err)
	}
	return rule
}

func anyLimit(t *rapid.T, label string) domain.Limit {
	l := domain.Limit{
		Tokens: rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, 1<<40)).Draw(t, label+" tokens"),
		Period: time.Duration(rapid.OneOf(
			rapid.SampledFrom([]int64{1, 1e6, 60e6, 3600e6, 86400e6}), rapid.Int64Range(1, 1e12)).Draw(t, label+" µs")) * time.Microsecond,
	}
	_, worth := l.Reduced()
	highest := max(domain.MaxCredits/worth, 1)
	l.Burst = rapid.OneOf(rapid.Int64Range(1, min(20, highest)), rapid.Int64Range(1, highest)).Draw(t, label+" burst")
	return l
}

// simple is the rule of one band.
func simple(b Band) (r Rule) {
	r.Bands[0] = b
	return r
}

func TestCompileReducesTheRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit domain.Limit
		want  Band
		token int64
	}{
		{domain.PerSecond(10), Band{Earn: 1, Worth: 100_000, Full: 1_000_000}, 100_000},
		{domain.PerSecond(3).WithBurst(1), Band{Earn: 3, Worth: 1_000_000, Full: 1_000_000}, 333_334},
		{domain.PerSecond(3_000_000), Band{Earn: 3, Worth: 1, Full: 3_000_000}, 1},
		{domain.Per(60, time.Minute), Band{Earn: 1, Worth: 1_000_000, Full: 60_000_000}, 1_000_000},
		{domain.Per(1, 24*time.Hour), Band{Earn: 1, Worth: 86_400_000_000, Full: 86_400_000_000}, 86_400_000_000},
		{domain.Per(7, time.Microsecond), Band{Earn: 7, Worth: 1, Full: 7}, 1},
	} {
		got, err := Compile(domain.RateLimit{Limit: c.limit})
		if err != nil || got != simple(c.want) || got.Bands[0].TokenMicro() != c.token {
			t.Errorf("Compile(%v) = %+v, %v, a token in %d µs; want %+v, %d", c.limit, got, err, got.Bands[0].TokenMicro(), c.want, c.token)
		}
	}
}

// Case 10: what cannot be counted is refused before a store sees it.
func TestCase10NonsenseDoesNotCompile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit domain.RateLimit
		field string
	}{
		"a rate of 0":             {domain.RateLimit{Limit: domain.Limit{Period: time.Second, Burst: 1}}, "Limit.Tokens"},
		"a negative rate":         {domain.RateLimit{Limit: domain.PerSecond(-1)}, "Limit.Tokens"},
		"no period":               {domain.RateLimit{Limit: domain.Limit{Tokens: 1, Burst: 1}}, "Limit.Period"},
		"a negative period":       {domain.RateLimit{Limit: domain.Per(1, -time.Second)}, "Limit.Period"},
		"a period below 1 µs":     {domain.RateLimit{Limit: domain.Per(1, 999)}, "Limit.Period"},
		"a negative burst":        {domain.RateLimit{Limit: domain.PerSecond(1).WithBurst(-1)}, "Limit.Burst"},
		"a burst beyond counting": {domain.RateLimit{Limit: domain.Per(1, time.Hour).WithBurst(1 << 40)}, "Limit.Burst"},
		"a rate beyond counting":  {domain.RateLimit{Limit: domain.PerSecond(math.MaxInt64)}, "Limit.Tokens"},
		"a negative version":      {domain.RateLimit{Limit: domain.PerSecond(1), Version: -1}, "Version"},
		"a version beyond 2^53":   {domain.RateLimit{Limit: domain.PerSecond(1), Version: 1 << 53}, "Version"},
	} {
		if rule, err := Compile(c.limit); err == nil || !strings.Contains(err.Error(), c.field) || rule != (Rule{}) {
			t.Errorf("%s: Compile = %+v, %v; want an error about %s", name, rule, err, c.field)
		}
	}
	for name, limit := range map[string]domain.Limit{
		"a day, and a burst of thousands": domain.Per(1, 24*time.Hour).WithBurst(6000),
		"a million a second":              domain.PerSecond(1_000_000),
		"a burst of a million":            domain.PerSecond(10).WithBurst(1_000_000),
		"a thousand million a second":     domain.PerSecond(1_000_000_000),
	} {
		if _, err := Compile(domain.RateLimit{Limit: limit}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of two rules one wins, and of three the same one whoever meets first.
func TestBetterIsAStrictOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyRule(t, "a"), anyRule(t, "b"), anyRule(t, "c")
		if a == b != (!a.better(&b) && !b.better(&a)) {
			t.Fatalf("%+v and %+v: neither wins, or both do", a, b)
		}
		if a.better(&b) && b.better(&a) {
			t.Fatalf("%+v and %+v win over each other", a, b)
		}
		if a.better(&b) && b.better(&c) && !a.better(&c) {
			t.Fatalf("%+v, %+v, %+v: no order", a, b, c)
		}
	})
}

func TestBetter(t *testing.T) {
	t.Parallel()
	rule := func(version int64, l domain.Limit) Rule {
		r, err := Compile(domain.RateLimit{Limit: l, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, c := range map[string][2]Rule{
		"the higher version, although it is looser": {rule(2, domain.PerSecond(100)), rule(1, domain.PerSecond(1))},
		"the slower rate": {rule(1, domain.PerSecond(9)), rule(1, domain.PerSecond(10))},
		"the slower rate, although its burst is larger": {
			rule(1, domain.PerSecond(9).WithBurst(100)), rule(1, domain.PerSecond(10)),
		},
		"the smaller burst": {rule(1, domain.PerSecond(10).WithBurst(5)), rule(1, domain.PerSecond(10))},
	} {
		if !c[0].better(&c[1]) || c[1].better(&c[0]) {
			t.Errorf("%s does not win: %+v, %+v", name, c[0], c[1])
		}
	}
}

// A change never mints: what a bucket holds afterwards is at most the same share
// of the new burst, and nearly that much. All is compared with exact numbers.
func TestRescaleNeverMints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, to := anySimpleRule(t, "from").Bands[0], anySimpleRule(t, "to").Bands[0]
		credits := rapid.Int64Range(0, from.Full).Draw(t, "credits")
		got := to.rescale(from, credits)
		if got < 0 || got > to.Full {
			t.Fatalf("rescale(%d) = %d, outside of 0 to %d", credits, got, to.Full)
		}
		share := new(big.Rat).Mul(big.NewRat(credits, from.Full), big.NewRat(to.Full, 1))
		if new(big.Rat).SetInt64(got).Cmp(share) > 0 {
			t.Fatalf("rescale(%d of %d) = %d of %d: more than the same share", credits, from.Full, got, to.Full)
		}
		// Nothing is lost beyond a 2^26th of the bucket, twice, and the last credit.
		slack := new(big.Rat).Add(big.NewRat(to.Full, 1<<25), big.NewRat(1, 1))
		if from.Full < 1<<26 {
			slack = big.NewRat(1, 1)
		}
		if lost := new(big.Rat).Sub(share, new(big.Rat).SetInt64(got)); lost.Cmp(slack) > 0 {
			t.Fatalf("rescale(%d of %d) = %d of %d: lost %s", credits, from.Full, got, to.Full, lost.FloatString(1))
		}
	})
}

// A changed limit's bands go on from those that were there: of the same rate
// first, then in their order; more of them begin full.
func TestBandsGoOn(t *testing.T) {
	t.Parallel()
	second, hour, day := domain.PerSecond(10), domain.PerHour(1000), domain.Per(5000, 24*time.Hour)
	fast, slow := domain.PerSecond(20), domain.PerHour(500)
	bands := func(l ...domain.Limit) []domain.Limit { return l }
	for name, c := range map[string]struct {
		from, to []domain.Limit
		shares   []int64 // of each band before, in percent
		want     []int64
	}{
		"nothing changes":                 {bands(second, hour), bands(second, hour), []int64{0, 30}, []int64{0, 30}},
		"one is added behind":             {bands(second), bands(second, hour), []int64{0}, []int64{0, 100}},
		"one is added before":             {bands(hour), bands(second, hour), []int64{30}, []int64{100, 30}},
		"one is added between":            {bands(second, day), bands(second, hour, day), []int64{0, 30}, []int64{0, 100, 30}},
		"one is taken away":               {bands(second, hour, day), bands(second, day), []int64{0, 30, 50}, []int64{0, 50}},
		"the first is taken away":         {bands(second, hour), bands(hour), []int64{0, 30}, []int64{30}},
		"one is changed":                  {bands(second, hour), bands(second, slow), []int64{0, 30}, []int64{0, 30}},
		"all are changed":                 {bands(second, hour), bands(fast, slow), []int64{10, 30}, []int64{10, 30}},
		"one is changed and one is added": {bands(second), bands(fast, hour), []int64{0}, []int64{0, 100}},
		"one is changed, and one stays":   {bands(second, day), bands(fast, hour, day), []int64{0, 30}, []int64{0, 100, 30}},
		"what was left goes on in order":  {bands(second, hour, day), bands(fast, day), []int64{0, 30, 50}, []int64{0, 50}},
		"more are changed than are left":  {bands(second, hour), bands(fast), []int64{20, 30}, []int64{20}},
	} {
		from, to := ruleOfBands(t, c.from), ruleOfBands(t, c.to)
		var credits [domain.MaxBands]int64
		for i, share := range c.shares {
			credits[i] = from.Bands[i].Full / 100 * share
		}
		got := to.carry(domain.CarryProportion, &from, credits)
		for i := range to.Count() {
			if share := float64(got[i]) / float64(to.Bands[i].Full) * 100; math.Abs(share-float64(c.want[i])) > 0.001 {
				t.Errorf("%s: band %d begins at %v %%; want %d %%", name, i, share, c.want[i])
			}
		}
	}
}

func ruleOfBands(t *testing.T, bands []domain.Limit) Rule {
	t.Helper()
	p := domain.RateLimit{Limit: bands[0]}
	copy(p.Also[:], bands[1:])
	r, err := Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A debt stays the same in tokens, up to a full bucket.
func TestRescaleKeepsDebts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, to := anySimpleRule(t, "from").Bands[0], anySimpleRule(t, "to").Bands[0]
		debt := rapid.Int64Range(1, from.Full).Draw(t, "debt")
		got := to.rescale(from, -debt)
		owed := min(ceilDiv(debt, from.Worth), to.Burst())
		if got != -owed*to.Worth {
			t.Fatalf("rescale(-%d) = %d; want a debt of %d tokens", debt, got, owed)
		}
	})
}

// A Lua number is a double. Whatever the numbers of a valid rule, the same
// arithmetic in doubles gives the same result, so that the script can follow.
func TestDoublesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from, to := anySimpleRule(t, "from").Bands[0], anySimpleRule(t, "to").Bands[0]
		credits := rapid.Int64Range(-from.Full, from.Full).Draw(t, "credits")
		if got, want := rescaleInDoubles(to, from, float64(credits)), to.rescale(from, credits); got != float64(want) {
			t.Errorf("rescale(%d) is %v in doubles, %d in integers", credits, got, want)
		}
		elapsed := rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, 1<<52)).Draw(t, "elapsed")
		st := State{AtMicro: 1 << 50, Rule: simple(from)}
		st.Credits[0] = credits
		st.advance(st.AtMicro + elapsed)
		e, f, c := float64(from.Earn), float64(from.Full), float64(credits)
		c = min(c+e*min(float64(elapsed), math.Floor((f-c+e-1)/e)), f)
		if c != float64(st.Credits[0]) {
			t.Errorf("%d µs later %d credits are %v in doubles, %d in integers", elapsed, credits, c, st.Credits[0])
		}
		cost := rapid.Int64Range(1, from.Burst()).Draw(t, "cost")
		wait, _ := st.waitFor(cost)
		if short := float64(from.Worth*cost) - c; short > 0 && math.Floor((short+e-1)/e) != float64(wait) {
			t.Errorf("the wait for %d is %v in doubles, %d in integers", cost, math.Floor((short+e-1)/e), wait)
		}
	})
}

// rescaleInDoubles is rescale as bucket_take.lua has it.
func rescaleInDoubles(a, b Band, c float64) float64 {
	af, aw, bf, bw := float64(a.Full), float64(a.Worth), float64(b.Full), float64(b.Worth)
	if c < 0 {
		return -min(math.Floor((-c+bw-1)/bw), af/aw) * aw
	}
	quantum := math.Floor((bf + 67108863) / 67108864)
	parts := math.Floor((bf + quantum - 1) / quantum)
	held := math.Floor(c / quantum)
	return math.Floor(af/parts)*held + math.Floor(math.Mod(af, parts)*held/parts)
}
