package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// The fewest cycles that can be judged, with a leak put in: it is noticed, and
// nothing else that can be counted grows. (How much memory is in use after so few
// says nothing yet.)
func TestSoakNoticesALeak(t *testing.T) {
	redis.SetLogger(quiet{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := plan{hold: 50 * time.Millisecond, residents: 2, callers: 3, pace: 20 * time.Millisecond}
	p.leak = func() {
		for range 100 {
			go func() { <-ctx.Done() }()
		}
	}
	v, err := soak(t.Context(), p, t.Output())
	if errors.Is(err, redisserver.ErrNotFound) {
		redisserver.ForTest(t) // which skips or fails, as it must
	}
	if err != nil {
		t.Fatal(err)
	}
	grown := v.grown()
	if !slices.Contains(grown, "goroutines") {
		t.Error("the leak was not noticed")
	}
	for _, name := range []string{"listeners", "keys"} {
		if slices.Contains(grown, name) {
			t.Error("it grew:", name)
		}
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{"-duration", "soon"}, {"-duration", "0s"}, {"more"}} {
		var out, errs strings.Builder
		if status := run(t.Context(), args, &out, &errs); status != exitMisuse || errs.Len() == 0 {
			t.Errorf("%v: status %d, %q", args, status, errs.String())
		}
	}
}
