package fleet_test

import (
	"strconv"
	"testing"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// BenchmarkKeyedBreaker is a call of a key that has a breaker, closed, beside the same
// without keys.
func BenchmarkKeyedBreaker(b *testing.B) {
	r := joinKeyed(b, domain.CircuitBreaker{MaxKeys: 1000})
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "key-" + strconv.Itoa(i)
	}
	plain, err := r.replica.Breaker(domain.CircuitBreaker{Name: "plain", Sharing: domain.ShareLocal})
	if err != nil {
		b.Fatal(err)
	}
	once := func(b *testing.B, p fleet.Permit, err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		p.Report(domain.Success)
	}
	b.Run("without keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, err := plain.Acquire(b.Context())
			once(b, p, err)
		}
	})
	b.Run("one key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, err := r.breaker.Acquire(b.Context(), keys[0])
			once(b, p, err)
		}
	})
	b.Run("1,000 keys", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			p, err := r.breaker.Acquire(b.Context(), keys[i%len(keys)])
			once(b, p, err)
		}
	})
	b.Run("1,000 keys, in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				p, err := r.breaker.Acquire(b.Context(), keys[i%len(keys)])
				once(b, p, err)
			}
		})
	})
	b.Run("no room", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, err := r.breaker.Acquire(b.Context(), "another")
			once(b, p, err)
		}
	})
}
