package redisstore

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// Votes of replicas that write less, or more, than this version does are read as far as
// they are known, counted, and replaced by their replicas' next ones.
func TestVotesOfOtherVersions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		epoch := f.report(domain.CircuitBreaker{}, breaker.Evidence{Replica: "we", Seq: 1, ForMicro: 9e6, Open: true}).Epoch
		must(t, client.HSet(t.Context(), f.breakerKey(),
			"r:older", "5:0:400:1795000000000000:10000000:9:4",
			"r:newer", "5:1:500:1795000000000000:10000000:8:3:1:7:x",
			"nb", 1, "wb", 500, "wa", 900, "nr", 3).Err())
		want := []breaker.Vote{
			{Replica: "newer", Bad: true, Weight: 500, ForMicro: 1e7, Calls: 8, Failures: 3, Open: true, Last: 7},
			{Replica: "older", Weight: 400, ForMicro: 1e7, Calls: 9, Failures: 4},
			{Replica: "we", ForMicro: 9e6, Open: true},
		}
		explained := func() breaker.Snapshot {
			t.Helper()
			s, err := f.Stores().Operator.Explain(t.Context(), theBreaker)
			must(t, err)
			return s
		}
		if got := explained(); !slices.Equal(got.Votes, want) {
			t.Errorf("votes are\n%+v; want\n%+v", got.Votes, want)
		}
		steady := breaker.Evidence{Replica: "older", Seq: 6, Known: epoch, Weight: 300, ForMicro: 1e7}
		f.report(domain.CircuitBreaker{}, steady)
		steady = breaker.Evidence{Replica: "newer", Seq: 6, Known: epoch, Weight: 600, Bad: true, ForMicro: 1e7}
		f.report(domain.CircuitBreaker{}, steady)
		got := explained()
		if got.Bad != 1 || got.BadWeight != 600 || got.AllWeight != 900 || len(got.Votes) != 3 || got.Votes[0].Open {
			t.Errorf("after their next ones: %+v", got)
		}
		if v := f.report(domain.CircuitBreaker{}, sick("older", 7, epoch)); v.State != domain.StateClosed {
			t.Errorf("with 1.600 bad it is %v", v.State)
		}
		if v := f.report(domain.CircuitBreaker{}, sick("newer", 7, epoch)); v.State != domain.StateOpen {
			t.Errorf("with two bad it is %v", v.State)
		}
	})
}
