package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A sample is what there is while nothing happens.
type sample struct {
	heap        int64 // bytes in use
	objects     int64 // on the heap
	goroutines  int64 // but for the proxy's
	files       int64 // descriptors; 0 = not known
	connections int64 // that the server has
	listeners   int64 // of those, subscriptions
	keys        int64 // in Redis
	dataset     int64 // bytes there
}

// looks is how often a sample looks at what comes and goes by itself, such as a
// ticker's goroutine, and keeps the least: what has leaked does not go.
const looks = 10

// sample stops the load, lets everything come to rest, and measures.
func (s *soaking) sample(ctx context.Context) (least sample, err error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if err := s.rest(ctx); err != nil {
		return least, err
	}
	for i := range looks {
		one, err := s.look(ctx)
		if err != nil {
			return least, err
		}
		if i == 0 {
			least = one
		}
		least = least.least(one)
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return least, err
		}
	}
	return least, nil
}

// rest waits until all who stay listen, and no more keys expire.
func (s *soaking) rest(ctx context.Context) error {
	listen := func() bool {
		n, err := s.listeners(ctx)
		return err == nil && n >= int64(len(s.members))
	}
	if err := waitFor(ctx, 10*time.Millisecond, "all who stay listen", listen); err != nil {
		return err
	}
	fewest, steady := int64(-1), now()
	return waitFor(ctx, 50*time.Millisecond, "keys expire", func() bool {
		n, err := s.admin.DBSize(ctx).Result()
		if err == nil && (fewest < 0 || n < fewest) {
			fewest, steady = n, now()
		}
		return err == nil && since(steady) > 1300*time.Millisecond // keys of buckets end on whole seconds
	})
}

// look measures once.
func (s *soaking) look(ctx context.Context) (one sample, err error) {
	runtime.GC()
	runtime.GC() // what pools kept goes with the second one
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	one = sample{
		heap: int64(memory.HeapAlloc), objects: int64(memory.HeapObjects),
		goroutines: goroutines(), files: openFiles(),
	}
	if one.listeners, err = s.listeners(ctx); err != nil {
		return one, err
	}
	if one.keys, err = s.admin.DBSize(ctx).Result(); err != nil {
		return one, err
	}
	info, err := s.admin.InfoMap(ctx, "clients", "memory").Result()
	if err != nil {
		return one, err
	}
	if one.connections, err = strconv.ParseInt(info["Clients"]["connected_clients"], 10, 64); err != nil {
		return one, err
	}
	one.dataset, err = strconv.ParseInt(info["Memory"]["used_memory_dataset"], 10, 64)
	return one, err
}

// listeners is how many subscriptions the server has.
func (s *soaking) listeners(ctx context.Context) (int64, error) {
	list, err := s.admin.Do(ctx, "client", "list", "type", "pubsub").Text()
	return int64(strings.Count(list, "\n")), err
}

// goroutines is how many there are. Those of the proxy are left out: it has some
// for each connection, and connections are counted as such.
func goroutines() (n int64) {
	stacks := make([]byte, 1<<22)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if !strings.Contains(stack, "github.com/Shopify/toxiproxy/") {
			n++
		}
	}
	return n
}

// openFiles is how many descriptors this process has, where that can be told.
func openFiles() int64 {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return int64(len(entries))
}

// least has the smaller of each number.
func (s sample) least(other sample) sample {
	return sample{
		heap: min(s.heap, other.heap), objects: min(s.objects, other.objects),
		goroutines: min(s.goroutines, other.goroutines), files: min(s.files, other.files),
		connections: min(s.connections, other.connections), listeners: min(s.listeners, other.listeners),
		keys: min(s.keys, other.keys), dataset: min(s.dataset, other.dataset),
	}
}

const kib = 1024

func header() string {
	return "cycle  elapsed     calls  events  heap KiB  objects  goroutines  files  connections  listeners  keys  Redis KiB"
}

func (s sample) line(cycle int, elapsed time.Duration, w *world) string {
	return fmt.Sprintf("%5d  %7s  %8d  %6d  %8d  %7d  %10d  %5d  %11d  %9d  %4d  %9d", cycle, elapsed.Round(time.Second),
		w.calls.Load(), w.events.Load(),
		s.heap/kib, s.objects, s.goroutines, s.files, s.connections, s.listeners, s.keys, s.dataset/kib)
}
