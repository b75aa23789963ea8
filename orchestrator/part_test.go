package orchestrator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A diary is an observer that writes down each step.
type diary struct {
	mu    sync.Mutex
	steps []string
}

func (*diary) Start(ctx context.Context, _ string) context.Context { return ctx }
func (*diary) End(context.Context, orchestrator.Summary)           {}

func (d *diary) Observe(_ context.Context, s orchestrator.Step) {
	line := strings.TrimSpace(fmt.Sprintf("%s %s", s.Part, s.Name)) + ": " + s.Result.String()
	switch s.Result {
	case orchestrator.ResultReported:
		line += " " + s.Outcome.String()
	case orchestrator.ResultAgain:
		line += " after " + s.Pause.String()
	default:
	}
	if s.Degraded {
		line += ", degraded"
	}
	if s.Guard != "g" {
		line += " by guard " + s.Guard
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = append(d.steps, line)
}

// TestStepsOfACall: an observer of parts hears of each thing that a part did, in order.
func TestStepsOfACall(t *testing.T) {
	budget := hold.RetryBudget{Name: "spare", Ratio: 0.001}
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		before int // calls before the one that is looked at
		fn     func(context.Context) (int, error)
		want   []string
	}{
		{"a success", hold.Combine(hold.Retry{}, tripping(5), hold.RateLimit{Name: "l", Limit: hold.PerHour(9)}), 0, answer, []string{
			"breaker g: allowed", "limit l: allowed", "breaker g: reported success",
		}},
		{"another try, and no more", hold.Combine(exactly(2, time.Second), tripping(5)), 0, failing(errBackend).call, []string{
			"breaker g: allowed", "breaker g: reported failure", "retry: again after 1s",
			"breaker g: allowed", "breaker g: reported failure", "retry: gave_up",
		}},
		{"no budget", hold.Retry{Backoff: hold.Fixed(time.Second), Budget: budget}, 0, failing(errBackend).call, []string{
			"retry spare: gave_up",
		}},
		{"a limit refuses", hold.Combine(tripping(5), hold.RateLimit{Name: "l", Limit: hold.PerHour(1)}), 1, answer, []string{
			"breaker g: allowed", "limit l: refused", "breaker g: reported ignored",
		}},
		{"one in shadow would", hold.RateLimit{Name: "l", Limit: hold.PerHour(1), Shadow: true}, 1, answer, []string{
			"limit l: shadowed",
		}},
		{"a breaker is open", tripping(1), 1, failing(errBackend).call, []string{"breaker g: refused"}},
		{"a bulkhead", hold.Bulkhead{Name: "b", MaxConcurrent: 1}, 0, answer, []string{"bulkhead b: allowed"}},
		{"an exclusive", hold.Exclusive{Name: "e"}, 0, answer, []string{"exclusive e: allowed"}},
		{"a timeout", hold.Timeout{Duration: time.Second}, 0, hang, []string{"timeout: timed_out"}},
		{"a hedge without a use", hold.Hedge{Delay: time.Second, Budget: budget}, 0, answer, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &diary{}
				g := newGuard(t, newOrchestrator(t, orchestrator.Config{Observer: book}), "g", tt.policy)
				for range tt.before {
					_, _ = orchestrator.Do(t.Context(), g, tt.fn)
				}
				book.steps = nil
				_, _ = orchestrator.Do(t.Context(), g, tt.fn)
				if !slices.Equal(book.steps, tt.want) {
					t.Errorf("it did\n%s\nwant\n%s", strings.Join(book.steps, "\n"), strings.Join(tt.want, "\n"))
				}
			})
		})
	}
}

// TestStepsOfAHedge: further tries are told, and so is a budget that has none.
func TestStepsOfAHedge(t *testing.T) {
	for name, tt := range map[string]struct {
		ratio float64
		want  string
	}{
		"a try beside a slow one": {1, "hedge spare: again after 0s"},
		"none left":               {0.001, "hedge spare: gave_up"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &diary{}
				g := newGuard(t, newOrchestrator(t, orchestrator.Config{Observer: book}), "g",
					hold.Hedge{Delay: time.Second, Budget: hold.RetryBudget{Name: "spare", Ratio: tt.ratio}})
				_, _ = orchestrator.DoIdempotent(t.Context(), g, func(ctx context.Context) (int, error) {
					select {
					case <-time.After(1500 * time.Millisecond):
					case <-ctx.Done():
					}
					return 0, nil
				})
				if !slices.Equal(book.steps, []string{tt.want}) {
					t.Errorf("it did %q; want %q", book.steps, tt.want)
				}
			})
		})
	}
}

// TestStepOfAPanic: what a breaker was told then is told, too.
func TestStepOfAPanic(t *testing.T) {
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &diary{}
				g := newGuard(t, newOrchestrator(t, orchestrator.Config{Observer: book}), "g", tripping(9))
				leaves(t, g, func(context.Context) (int, error) { exit(); return 0, nil })
				if want := []string{"breaker g: allowed", "breaker g: reported failure"}; !slices.Equal(book.steps, want) {
					t.Errorf("it did %q; want %q", book.steps, want)
				}
			})
		})
	}
}

// TestStepsInAnOutage: what is decided without the store says so, and what nothing could
// decide is no refusal.
func TestStepsInAnOutage(t *testing.T) {
	for name, tt := range map[string]struct {
		outage hold.Outage
		want   string
	}{
		"open":        {hold.OutageOpen, "limit g: allowed, degraded"},
		"closed":      {hold.OutageClosed, "limit g: failed"},
		"local share": {hold.OutageLocalShare, "limit g: refused, degraded"}, // a share begins empty
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &diary{}
				o := newStuck(t, orchestrator.Config{Observer: book})
				g := newGuard(t, o, "g", hold.RateLimit{Limit: hold.PerSecond(5), Outage: tt.outage})
				_, _ = orchestrator.Do(t.Context(), g, answer)
				if !slices.Equal(book.steps, []string{tt.want}) {
					t.Errorf("it did %q; want %q", book.steps, tt.want)
				}
			})
		})
	}
}

func TestNamesOfParts(t *testing.T) {
	for want, p := range map[string]fmt.Stringer{
		"retry": orchestrator.PartRetry, "timeout": orchestrator.PartTimeout, "hedge": orchestrator.PartHedge,
		"lost": orchestrator.ResultLost, "failed": orchestrator.ResultFailed, "unknown": orchestrator.Result(0),
	} {
		if got := p.String(); got != want {
			t.Errorf("%#v.String() = %q; want %q", p, got, want)
		}
	}
}
