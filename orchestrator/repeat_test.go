package orchestrator_test

import (
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// TestRepeatIf: who may not run twice does not, whatever the guard says; and what was
// refused before it ran is tried again as ever.
func TestRepeatIf(t *testing.T) {
	soon := exactly(3, time.Second)
	always := orchestrator.RetryIf(func(error) bool { return true })
	once := orchestrator.RepeatIf(orchestrator.Never)
	notOther := orchestrator.RepeatIf(func(err error) bool { return err != errOther }) //nolint:errorlint // as it came
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		opts   []orchestrator.GuardOption
		call   []orchestrator.Call
		fn     *backend
		runs   int
		took   time.Duration
		want   error
		not    error
	}{
		{"nothing said", soon, nil, nil, failing(errBackend), 3, 2 * time.Second, hold.ErrRetryExhausted, nil},
		{"never", soon, nil, []orchestrator.Call{once}, failing(errBackend), 1, 0, errBackend, hold.ErrRetryExhausted},
		{"whatever the guard's own rule says", soon, []orchestrator.GuardOption{always}, []orchestrator.Call{once}, failing(errBackend), 1, 0, errBackend, hold.ErrRetryExhausted},
		{
			"nor after a timeout, which is worth another try", hold.Combine(soon, hold.Timeout{Duration: time.Minute}), nil,
			[]orchestrator.Call{once},
			failing(&hold.TimeoutError{}), 1, 0, hold.ErrTimeout, hold.ErrRetryExhausted,
		},
		{"nor in a series further out", hold.Combine(soon, soon), nil, []orchestrator.Call{once}, failing(errBackend), 1, 0, errBackend, hold.ErrRetryExhausted},
		{"some errors", soon, nil, []orchestrator.Call{notOther}, failing(errBackend, errOther), 2, time.Second, errOther, hold.ErrRetryExhausted},
		{"the guard's rule has to agree", soon, nil, []orchestrator.Call{notOther}, failing(hold.MarkPermanent(errBackend)), 1, 0, errBackend, hold.ErrRetryExhausted},
		{"a hedge's tries do not go on", hold.Combine(hold.Hedge{Delay: time.Hour}, soon), nil, []orchestrator.Call{once}, failing(errBackend), 1, 0, errBackend, hold.ErrRetryExhausted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(t, newOrchestrator(t, orchestrator.Config{}), "g", tt.policy, tt.opts...)
				start := time.Now()
				_, err := orchestrator.DoIdempotent(t.Context(), g, tt.fn.call, tt.call...)
				wantIs(t, err, tt.want)
				if tt.not != nil {
					wantIsNot(t, err, tt.not)
				}
				tt.fn.wants(t, tt.runs)
				wantElapsed(t, start, tt.took)
			})
		})
	}
}

func TestRepeatIfLetsRefusalsBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, newOrchestrator(t, orchestrator.Config{}), "g", hold.Combine(
			exactly(3, time.Millisecond), hold.RateLimit{Limit: hold.Per(1, time.Minute)},
		))
		if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
			t.Fatal(err)
		}
		start, fn := time.Now(), failing(errBackend)
		_, err := orchestrator.Do(t.Context(), g, fn.call, orchestrator.RepeatIf(orchestrator.Never))
		if err != errBackend { //nolint:errorlint // as it came
			t.Errorf("error %v; want the function's", err)
		}
		fn.wants(t, 1)
		wantElapsed(t, start, time.Minute) // the second attempt had a token
	})
}

func TestRepeatIfIsFree(t *testing.T) {
	g := newGuard(t, newOrchestrator(t, orchestrator.Config{}), "g", hold.Combine(hold.Retry{}, retryBreakerLimit()[1:]...))
	got := testing.AllocsPerRun(1000, func() {
		if _, err := orchestrator.Do(t.Context(), g, answer, orchestrator.RepeatIf(orchestrator.Never)); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%g allocations a call; want none", got)
	}
}
