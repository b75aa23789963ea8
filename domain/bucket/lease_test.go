package bucket

import (
	"math/rand/v2"
	"testing"

	"github.com/holdfast-go/holdfast/domain"
)

// The short way and the long one answer alike, also beside leases.
func TestTheShortWayKnowsOfLeases(t *testing.T) {
	t.Parallel()
	rule := simple(compileBand(domain.PerSecond(10).WithBurst(20)))
	rnd := rand.New(rand.NewPCG(1, 2))
	var short, long State
	now, lent := int64(1_795_000_000_000_000), int64(0)
	for range 20_000 {
		now += rnd.Int64N(300_000)
		ask := Ask{Cost: 1 + rnd.Int64N(4), Count: 1}
		if rnd.IntN(4) == 0 {
			seq := uint64(1 + rnd.IntN(9))
			ask = Ask{Cost: 1, Count: rnd.Int64N(6), Lease: &LeaseAsk{
				ID: LeaseID{Start: 1 + rnd.Uint64N(3), Seq: seq}, Milli: 1 + rnd.Int64N(2000), Spent: seq - 1, Left: rnd.Int64N(4), Sealed: rnd.IntN(3) == 0,
			}}
		}
		var one [1]Answer
		long.Decide(now, &rule, Manner{}, []Ask{ask}, one[:])
		var a Answer
		if short.DecideOne(now, &rule, Manner{}, &ask, &a); a != one[0] {
			t.Fatalf("%+v is answered with %+v and, the short way, %+v", ask, one[0], a)
		}
		if lent += long.lent(); long.Credits[0]+long.lent()*rule.Bands[0].Worth > rule.Bands[0].Full {
			t.Fatalf("%d credits and %d tokens lent are more than a full bucket", long.Credits[0], long.lent())
		}
	}
	if lent == 0 {
		t.Error("nothing was ever lent")
	}
}
