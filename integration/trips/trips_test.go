package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A few trips of a small fleet, with pushes and without: every replica learns of each,
// not before it happened. How long that takes is no test's matter.
func TestTrips(t *testing.T) {
	if _, err := redisserver.Find(); err != nil {
		redisserver.ForTest(t) // which skips or fails, as it must
	}
	for _, args := range [][]string{{"-trips", "3"}, {"-trips", "1", "-deaf"}} {
		var out strings.Builder
		args = append(args, "-replicas", "3", "-rates", "200", "-json")
		if status := run(t.Context(), args, &out, t.Output()); status == exitMisuse {
			t.Fatalf("%v: status %d", args, status)
		}
		var f figures
		if err := json.Unmarshal([]byte(out.String()), &f); err != nil {
			t.Fatalf("%v: %q: %v", args, out.String(), err)
		}
		if len(f.Rows) != 1 || f.Replicas != 3 {
			t.Fatalf("%v: %+v", args, f)
		}
		r := f.Rows[0]
		if r.EachP50 <= 0 || r.LastP50 < r.EachP50 || r.LastMax < r.LastP99 || r.LastP99 < r.LastP50 {
			t.Errorf("%v: %+v is impossible", args, r)
		}
		t.Logf("%v: %+v", args, r)
	}
}

func TestNewTrip(t *testing.T) {
	opened := []told{{word: word{Epoch: 1000, AtMicro: 1300}}, {word: word{Epoch: 5000, AtMicro: 5100}}, {word: word{Epoch: 1000, AtMicro: 1200}}}
	closed := []told{{word: word{Calls: 2, LastMicro: 1250}}, {word: word{Calls: 1, LastMicro: 4000}}, {}}
	got := newTrip(opened, closed)
	if got.last != 4100 || got.called != 3 || got.passed != 3000 {
		t.Errorf("%+v", got)
	}
	s := summary(50, []trip{got, {each: []int64{100, 200, 300}, last: 300}})
	if s.LastP50 != 300 || s.LastP99 != 4100 || s.LastMax != 4100 || s.EachP50 != 200 || s.Called != 3 || s.PassMax != 3000 {
		t.Errorf("%+v", s)
	}
}

func TestPrint(t *testing.T) {
	f := figures{Replicas: 2, Bound: bound.Microseconds(), Rows: []row{{Rate: 50, Trips: 1, LastP50: 4_999, LastP99: 20_000, LastMax: 1_500_001}}}
	var out strings.Builder
	if err := f.print(&out); err != nil {
		t.Fatal(err)
	}
	if want := "50 calls/s: p50 below 5 ms: met; p99 below 20 ms: missed"; !strings.Contains(out.String(), want) || !f.late() {
		t.Errorf("%q says not %q, or %v is not late", out.String(), want, f)
	}
	f.Deaf = true
	out.Reset()
	if err := f.print(&out); err != nil || !strings.Contains(out.String(), "bound: 1500 ms, missed") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{"-rates", "fast"}, {"-rates", "0"}, {"-replicas", "1"}, {"-trips", "0"}, {"more"}, {"-what"}} {
		var out, errs strings.Builder
		if status := run(t.Context(), args, &out, &errs); status != exitMisuse || errs.Len() == 0 {
			t.Errorf("%v: status %d, %q", args, status, errs.String())
		}
	}
}
