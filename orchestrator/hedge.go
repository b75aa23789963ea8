package orchestrator

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A hedgeStep says when further tries are started beside a slow one. As a step of a walk
// it only counts the call for its budget: a call that may be hedged walks the two halves
// of its plan instead.
type hedgeStep struct {
	policy domain.Hedge // with its defaults
	budget budget
}

// DoIdempotent is [Do] for a function that may run several times at once, which it may
// wherever g has a [domain.Hedge]: a try that takes long is given company, the first that
// returns without an error wins, and the others' contexts end. When all fail, the error
// is that of the first one. DoIdempotent returns when all tries have, so fn should honour
// its context; it runs on goroutines of its own, but for the first try.
//
// A panic of any try, or its runtime.Goexit, comes out of DoIdempotent once all have
// ended.
func DoIdempotent[T any](ctx context.Context, g *Guard, fn func(context.Context) (T, error), call ...Call) (T, error) {
	// It is a function of its own for two reasons. That fn may run beside itself is for
	// who wrote it to say. And what other goroutines run is kept in memory of its own,
	// which Do does without.
	var none T
	if g == nil {
		return none, misuse("Guard", "is nil")
	}
	if g.bare {
		return fn(ctx)
	}
	t := through(ctx, g.plan.Load(), fleet.Budget{}, fn, call)
	if !t.reached {
		return none, t.err
	}
	return t.value, t.err
}

// A try is what came of one way through a plan.
type try[T any] struct {
	value T
	passage
}

// A passage is the part of a try that does not depend on its type.
type passage struct {
	err     error
	runs    int // of the function
	reached bool
	budget  fleet.Budget

	refusedBy               Part
	refusedName, shadowedBy string
}

// through walks p, and races its inner half where it has a hedge.
func through[T any](ctx context.Context, p *plan, left fleet.Budget, fn func(context.Context) (T, error), calls []Call) (t try[T]) {
	walks := p
	if p.hedged != nil {
		walks = p.hedged.outer
	}
	w := walk{budget: left}
	defer w.release()
	for ok := w.start(ctx, walks, calls); ok && w.next(); { //nolint:contextcheck // the walk has it
		if p.hedged == nil {
			t.value, w.err = fn(w.ctx) //nolint:contextcheck // ctx, and the deadlines set on the way
			continue
		}
		won := newRace(w.ctx, p.hedged, w.budget, fn, calls).run() //nolint:contextcheck // as above
		t.value = won.value
		w.took(won.passage)
	}
	w.finish() //nolint:contextcheck // the walk has it
	t.passage = w.passage()
	return t
}

// took notes what came of the tries in place of one run of the function.
func (w *walk) took(t passage) {
	w.err, w.reached, w.budget = t.err, t.reached, t.budget
	w.runs += t.runs - 1
	if !t.reached {
		w.refusedBy, w.refusedName = t.refusedBy, t.refusedName
	}
	if t.shadowedBy != "" {
		w.shadowedBy = t.shadowedBy
	}
}

func (w *walk) passage() passage {
	return passage{w.err, w.runs, w.reached, w.budget, w.refusedBy, w.refusedName, w.shadowedBy}
}

// hedged is a plan with a hedge, taken apart.
type hedged struct {
	outer, inner *plan // without the step itself
	step         *hedgeStep
}

// tell says that a further try is made, or that the budget has none.
func (h *hedged) tell(ctx context.Context, made bool) {
	parts := h.inner.parts
	if parts == nil {
		return
	}
	s := Step{Guard: h.inner.name, Part: PartHedge, Name: h.step.policy.Budget.Name, Result: ResultAgain}
	if !made {
		s.Result = ResultGaveUp
		s.Err = domain.ErrBudgetExhausted
	}
	parts.Observe(ctx, s)
}

// A race is the tries of one call.
type race[T any] struct {
	hedged *hedged
	left   fleet.Budget
	fn     func(context.Context) (T, error)
	calls  []Call

	ctx     context.Context //nolint:containedctx // that of all tries
	cancel  context.CancelFunc
	timer   *time.Timer // of the next try
	running sync.WaitGroup

	mu      sync.Mutex
	over    bool // no further try is started
	started int  // beside the first one
	runs    int
	spent   fleet.Budget
	won     *try[T]
	panics  any  // what a try beside the first one panicked with
	exited  bool // or it ended its goroutine
}

func newRace[T any](ctx context.Context, h *hedged, left fleet.Budget, fn func(context.Context) (T, error), calls []Call) *race[T] {
	r := &race[T]{hedged: h, left: left, spent: left, fn: fn, calls: calls}
	r.ctx, r.cancel = context.WithCancel(ctx) //nolint:gosec // run does
	return r
}

// run makes the first try, and the others when they are due. It returns what won or, if
// nothing did, what came of the first one.
func (r *race[T]) run() try[T] {
	defer r.cancel()
	r.hedged.step.budget.earn()
	r.mu.Lock() // the next try could be due before the timer is known
	r.timer = time.AfterFunc(r.hedged.step.policy.Delay, r.join)
	r.mu.Unlock()
	first := r.first()
	r.running.Wait()
	switch {
	case r.panics != nil:
		panic(r.panics)
	case r.exited:
		runtime.Goexit()
	}
	if r.won != nil {
		first = *r.won
	}
	first.runs, first.budget = r.runs, r.spent
	return first
}

// first makes the first try; when it panics, the others end before the panic goes on.
func (r *race[T]) first() (t try[T]) {
	returned := false
	defer func() {
		if !returned {
			r.end(nil)
			r.running.Wait()
		}
	}()
	t = r.one(r.left)
	returned = true
	return t
}

// join makes a further try, if it is due still and the budget has it.
func (r *race[T]) join() {
	if !r.enter() {
		return
	}
	defer r.running.Done()
	returned := false
	defer func() {
		if p := recover(); p != nil || !returned {
			r.fell(p)
		}
	}()
	if left, ok := r.afford(); ok {
		r.one(left)
	}
	returned = true
}

// fell notes that a try beside the first one panicked, or ended its goroutine: nil.
func (r *race[T]) fell(p any) {
	r.mu.Lock()
	if r.exited = r.exited || p == nil; r.panics == nil {
		r.panics = p
	}
	r.mu.Unlock()
	r.end(nil)
}

func (r *race[T]) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.running.Add(1)
	return true
}

// afford reports whether there may be another try, and what it leaves of the time for
// stores, and lets the one after it be due.
func (r *race[T]) afford() (left fleet.Budget, ok bool) {
	left = r.left
	ok = r.hedged.step.budget.spend(r.ctx, &left)
	r.hedged.tell(r.ctx, ok)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spent.Join(&left)
	if !ok || r.over {
		return left, false
	}
	if r.started++; r.started < r.hedged.step.policy.MaxHedges {
		r.timer.Reset(r.hedged.step.policy.Delay)
	}
	return left, true
}

// one makes one try, with so much time left for stores.
func (r *race[T]) one(left fleet.Budget) try[T] {
	t := through(r.ctx, r.hedged.inner, left, r.fn, r.calls)
	r.mu.Lock()
	r.runs += t.runs
	r.spent.Join(&t.budget)
	r.mu.Unlock()
	r.end(&t)
	return t
}

// end notes that a try has ended: no further one is started and, if it won, the others
// are cancelled; and so they are without a try, after a panic.
func (r *race[T]) end(t *try[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.timer.Stop()
	switch {
	case t == nil:
		r.cancel()
	case t.err == nil && t.reached:
		if r.won == nil {
			r.won = t
		}
		r.cancel()
	}
}
