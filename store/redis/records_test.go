package redisstore

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// The stream of a breaker's records is as long as what is read of it, whoever made them.
func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		kept := func(by string) {
			if n := client.XLen(t.Context(), records(f.breakerKey())).Val(); n != breaker.RecordsKept {
				t.Errorf("%d records are kept after many %s; want %d", n, by, breaker.RecordsKept)
			}
		}
		var seq, known uint64
		for range breaker.RecordsKept/2 + 5 {
			known = f.report(domain.CircuitBreaker{}, sick("a", seq+1, known)).Epoch
			e := sick("a", seq+2, known)
			e.Bad = false
			f.report(domain.CircuitBreaker{}, e)
			seq += 2
		}
		kept("votes")
		for range 5 {
			must(t, orderWith(t.Context(), f.Store, 0).Err)
		}
		kept("orders")
	})
}
