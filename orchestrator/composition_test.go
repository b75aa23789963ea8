package orchestrator_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A layer is one policy of a pair, and how to see what it did.
type layer struct {
	kind   string
	policy func(name string) hold.Policy
	count  func(t *testing.T, o *orchestrator.Orchestrator, name string) int64 // nil: the function sees it
}

func layers() []layer {
	const burst = 100
	return []layer{
		{"retry", func(string) hold.Policy { return exactly(3, time.Second) }, nil},
		{
			"breaker", func(name string) hold.Policy { return hold.CircuitBreaker{Name: name, FailureThreshold: 100} },
			func(t *testing.T, o *orchestrator.Orchestrator, name string) int64 {
				t.Helper()
				return findBreaker(t, o, name).Status().Calls
			},
		},
		{
			"limit", func(name string) hold.Policy {
				return hold.RateLimit{Name: name, Limit: hold.Per(1, time.Hour).WithBurst(burst)}
			},
			func(t *testing.T, o *orchestrator.Orchestrator, name string) int64 {
				t.Helper()
				return burst - remaining(t, o, name, "")
			},
		},
		{"timeout", func(name string) hold.Policy {
			if name == "outer" {
				return hold.Timeout{Duration: 9 * time.Second}
			}
			return hold.Timeout{Duration: 5 * time.Second}
		}, nil},
	}
}

// TestWhatRunsHowOften runs a call whose every attempt fails, through every
// order of two policies, and checks the table in the docs against what happened.
func TestWhatRunsHowOften(t *testing.T) {
	var table strings.Builder
	table.WriteString("| outer | inner | the function runs | outcomes counted | tokens taken | deadlines |\n")
	table.WriteString("| --- | --- | --- | --- | --- | --- |\n")
	for _, outer := range layers() {
		for _, inner := range layers() {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				table.WriteString(measure(t, o, outer, inner))
			})
		}
	}
	docs, err := os.ReadFile("../docs/composition.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(docs), table.String()) {
		t.Errorf("docs/composition.md does not have this table:\n%s", table.String())
	}
}

// measure returns one row of the table.
func measure(t *testing.T, o *orchestrator.Orchestrator, outer, inner layer) string {
	t.Helper()
	g := newGuard(t, o, "g", hold.Combine(outer.policy("outer"), inner.policy("inner")))
	runs, deadlines := 0, make(map[time.Time]bool)
	err := orchestrator.Run(t.Context(), g, func(ctx context.Context) error {
		runs++
		if at, ok := ctx.Deadline(); ok {
			deadlines[at] = true
		}
		return errBackend
	})
	wantIs(t, err, errBackend)
	cell := func(kind string) string {
		var counts []string
		for name, l := range map[string]layer{"outer": outer, "inner": inner} {
			if l.kind == kind {
				counts = append(counts, strconv.FormatInt(l.count(t, o, name), 10))
			}
		}
		if len(counts) == 0 {
			return "–"
		}
		return strings.Join(counts, " + ")
	}
	seen := "–"
	if outer.kind == "timeout" || inner.kind == "timeout" {
		seen = strconv.Itoa(len(deadlines))
	}
	return fmt.Sprintf("| %s | %s | %d | %s | %s | %s |\n", outer.kind, inner.kind, runs, cell("breaker"), cell("limit"), seen)
}

// TestWhoHearsOfARefusal: what is further in and refuses decides what those
// further out have done in vain.
func TestWhoHearsOfARefusal(t *testing.T) {
	open := hold.CircuitBreaker{Name: "b", FailureThreshold: 1}
	limit := hold.RateLimit{Name: "l", Limit: hold.Per(1, time.Hour).WithBurst(100)}
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		took   int64 // tokens
	}{
		{"limit(breaker): the token is spent", hold.Combine(limit, open), 2},
		{"breaker(limit): the limit is not asked", hold.Combine(open, limit), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				g := newGuard(t, o, "g", tt.policy)
				_, _ = orchestrator.Do(t.Context(), g, failing(errBackend).call)
				_, err := orchestrator.Do(t.Context(), g, answer)
				wantIs(t, err, hold.ErrCircuitOpen)
				if got := 100 - remaining(t, o, "l", ""); got != tt.took {
					t.Errorf("%d tokens taken; want %d", got, tt.took)
				}
			})
		})
	}
}

// TestDeepGuard: more layers than a call has room for on its stack work alike.
func TestDeepGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		var deep hold.Policy = hold.None{}
		for i := range 30 {
			name := fmt.Sprintf("p%d", i)
			deep = hold.Combine(
				deep,
				hold.CircuitBreaker{Name: name, FailureThreshold: 9},
				hold.Combine(hold.None{}, hold.RateLimit{Name: name, Keyed: true, Limit: hold.Per(1, time.Hour).WithBurst(9)}),
				hold.Timeout{Duration: time.Second},
			)
		}
		g := newGuard(t, o, "g", hold.Combine(exactly(2, time.Second), deep))
		b := failing(errBackend)
		_, err := orchestrator.Do(t.Context(), g, b.call, orchestrator.Key("k"), orchestrator.CostOf("p29", 3))
		b.wants(t, 2)
		wantIs(t, err, hold.ErrRetryExhausted, errBackend)
		wantClosed(t, o, "p0", 2, 2)
		wantClosed(t, o, "p29", 2, 2)
		if got := remaining(t, o, "p29", "k"); got != 3 {
			t.Errorf("%d tokens remain; want 3", got)
		}
	})
}
