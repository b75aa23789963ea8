package memory_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
)

// bytesAKey is how much a live bucket may take, with its key and its part of the map.
const bytesAKey = 512

// A live bucket stays below the bound that is told.
func TestSizeOfAKey(t *testing.T) {
	const keys = 100_000
	if got := fill(t, keys); got > bytesAKey {
		t.Errorf("%.0f bytes a key; want %d at most", got, bytesAKey)
	}
}

// BenchmarkMillionKeys tells what a million live keys take.
func BenchmarkMillionKeys(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.ReportMetric(fill(b, 1_000_000), "B/key")
	}
}

// fill takes a token of each of so many keys, and returns what one of them takes.
func fill(tb testing.TB, keys int) float64 {
	tb.Helper()
	now := time.UnixMicro(1_795_000_000_000_000)
	store := memory.New(memory.Options{Now: func() time.Time { return now }}).Stores()
	rule, err := bucket.Compile(domain.RateLimit{Limit: domain.PerHour(10)})
	if err != nil {
		tb.Fatal(err)
	}
	before := heap()
	in, out := [1]port.TakeRequest{{Rule: rule, Ask: bucket.Ask{Cost: 1, Count: 1}}}, [1]port.TakeReply{}
	for i := range keys {
		in[0].Bucket = port.ID{Name: "limit", Key: "tenant-" + strconv.Itoa(i)}
		store.Buckets.Take(context.Background(), in[:], out[:])
		if out[0].Granted != 1 || out[0].Err != nil {
			tb.Fatalf("key %d: %+v", i, out[0])
		}
	}
	took := float64(heap()-before) / float64(keys)
	runtime.KeepAlive(store)
	return took
}

// heap is what lives.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
