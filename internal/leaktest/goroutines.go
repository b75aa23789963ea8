package leaktest

import (
	"bytes"
	"context"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// How long what ends by itself may take: a client whose server is gone takes a
// second for it.
const (
	looks     = 1000
	lookEvery = 10 * time.Millisecond
)

// await returns what find finds once it finds nothing, or in the end.
func await(find func() string) (left string) {
	for range looks {
		if left = find(); left == "" {
			return ""
		}
		time.Sleep(lookEvery)
	}
	return left
}

// ownPaths are in the stack of each goroutine that this project answers for.
func ownPaths() []string {
	return []string{"github.com/holdfast-go/holdfast/", "github.com/redis/go-redis/"}
}

// ofProject returns the stacks of all goroutines that run something of this project
// or of its client, or were started by it; but for this one and those of tests.
func ofProject() string {
	var left []string
	for i, stack := range strings.Split(allStacks(), "\n\n") {
		if i == 0 || strings.Contains(stack, "testing.tRunner(") {
			continue
		}
		for _, path := range ownPaths() {
			if strings.Contains(stack, path) {
				left = append(left, stack)
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}

func allStacks() string {
	for size := 1 << 20; ; size *= 2 {
		buffer := make([]byte, size)
		if n := runtime.Stack(buffer, true); n < size {
			return string(buffer[:n])
		}
	}
}

// label marks a goroutine, and all that it starts from then on, and they start,
// and so forth: that is how one test's are told from another's.
const label = "leaktest"

func mark(test string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(label, test)))
}

func unmark() { pprof.SetGoroutineLabels(context.Background()) }

// signals is the one goroutine that the runtime starts for whoever asks first, and
// never ends: a fuzzer asks.
const signals = "os/signal.loop"

// ofTest returns the stacks of all goroutines that bear a test's mark.
func ofTest(test string) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return err.Error()
	}
	marked := "{" + strconv.Quote(label) + ":" + strconv.Quote(test) + "}"
	var left []string
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, marked) && !strings.Contains(stack, signals) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
