package flight_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/fleet/internal/flight"
)

const timeout = 100 * time.Millisecond

var errStore = errors.New("the store is broken")

type (
	testLane   = flight.Lane[string, int, int]
	testFlight = flight.Flight[string, int, int]
)

// An airport is a shard whose flights land when the test says so. It lives in a
// bubble.
type airport struct {
	t      *testing.T
	shard  *flight.Shard[string, int, int]
	rides  chan *ride
	end    context.CancelFunc
	closed atomic.Bool
	pilots sync.WaitGroup
	flying atomic.Int64
	hangs  atomic.Bool // Fly takes no notice of its ctx
}

// A ride is one call of Fly. It is over when the test lands it, or its ctx ends.
type ride struct {
	ctx     context.Context //nolint:containedctx // what Fly was given
	flights []*testFlight
	landing chan struct{}
}

// land answers ten times the question, and lets Fly return.
func (r *ride) land() {
	for _, f := range r.flights {
		for i := range f.Runs {
			f.Runs[i].Answer = 10 * f.Runs[i].Ask
		}
	}
	close(r.landing)
}

func (r *ride) fail(err error) {
	for _, f := range r.flights {
		f.Err = err
	}
	close(r.landing)
}

// asks are the questions that want an answer, of all flights.
func (r *ride) asks() []int {
	var asks []int
	for _, f := range r.flights {
		for i := range f.Runs {
			for range f.Runs[i].Aboard() {
				asks = append(asks, f.Runs[i].Ask)
			}
		}
	}
	return asks
}

func newAirport(t *testing.T, handOver func(landed, next *testFlight)) *airport {
	t.Helper()
	life, end := context.WithCancel(context.WithoutCancel(t.Context()))
	a := &airport{t: t, rides: make(chan *ride, 1024), end: end}
	if handOver == nil {
		handOver = func(*testFlight, *testFlight) {}
	}
	a.shard = flight.NewShard(flight.Config[string, int, int]{
		Timeout:  timeout,
		Now:      time.Now,
		HandOver: handOver,
		Fly: func(ctx context.Context, flights []*testFlight) {
			r := &ride{ctx, append([]*testFlight(nil), flights...), make(chan struct{})}
			if len(r.asks()) == 0 && len(flights[0].Runs) > 0 {
				return // all have left, or were served
			}
			a.flying.Add(1)
			a.rides <- r
			a.fly(r)
			a.flying.Add(-1)
		},
		Life: life,
		Go: func(f func(context.Context)) bool {
			if a.closed.Load() {
				return false
			}
			a.pilots.Go(func() { f(life) })
			return true
		},
	})
	t.Cleanup(end)
	return a
}

// fly waits for the landing.
func (a *airport) fly(r *ride) {
	if a.hangs.Load() {
		<-r.landing
		return
	}
	select {
	case <-r.landing:
	case <-r.ctx.Done():
		for _, f := range r.flights {
			f.Err = r.ctx.Err()
		}
	}
}

func (a *airport) close() {
	a.closed.Store(true)
	a.end()
}

func (a *airport) lane(key string) *testLane {
	l := &testLane{}
	l.Init(a.shard, key)
	return l
}

// next is the ride that has taken off.
func (a *airport) next() *ride {
	a.t.Helper()
	synctest.Wait()
	select {
	case r := <-a.rides:
		return r
	default:
		a.t.Fatal("nothing took off")
		return nil
	}
}

func (a *airport) nothingFlies() {
	a.t.Helper()
	synctest.Wait()
	select {
	case r := <-a.rides:
		a.t.Fatalf("a flight took off with %v", r.asks())
	default:
	}
}

// A caller is one call of Do, and what came of it.
type caller struct {
	answer int
	place  int // among those who asked the same
	err    error
	took   time.Duration
	done   chan struct{}
	leave  context.CancelCauseFunc
}

// ask calls Do on a goroutine that can be cancelled, and waits until it waits.
func (a *airport) ask(l *testLane, question int) *caller {
	return a.askWithin(l, question, timeout)
}

func (a *airport) askWithin(l *testLane, question int, atMost time.Duration) *caller {
	ctx, leave := context.WithCancelCause(context.WithoutCancel(a.t.Context()))
	c := &caller{done: make(chan struct{}), leave: leave}
	start := time.Now()
	go func() {
		defer close(c.done)
		c.answer, c.place, c.err = l.Do(ctx, question, atMost)
		c.took = time.Since(start)
	}()
	synctest.Wait()
	return c
}

func (c *caller) wants(t *testing.T, answer int, err error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
	default:
		t.Fatalf("the caller still waits; want %d, %v", answer, err)
	}
	// A caller whose time is up learns it from its own clock or from its flight.
	late := err == flight.ErrTimeout && errors.Is(c.err, context.DeadlineExceeded) //nolint:errorlint // as the row has it
	if c.answer != answer || (!errors.Is(c.err, err) && !late) || (err == nil) != (c.err == nil) {
		t.Errorf("Do = %d, %v; want %d, %v", c.answer, c.err, answer, err)
	}
}

func (c *caller) waits(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
		t.Errorf("Do = %d, %v; want it to wait", c.answer, c.err)
	default:
	}
}

func equal(t *testing.T, what string, got, want []int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s = %v; want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s = %v; want %v", what, got, want)
		}
	}
}

// done waits until no goroutine of the shard is left. In a bubble a goroutine
// that is left for ever would also fail the test by itself.
func (a *airport) done() {
	a.t.Helper()
	synctest.Wait()
	idle := make(chan struct{})
	go func() { a.pilots.Wait(); close(idle) }()
	synctest.Wait()
	select {
	case <-idle:
	default:
		a.t.Error("a pilot is left")
	}
}

func TestOneFlightOfALaneIsInTheAir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l := a.lane("a")
		first := a.ask(l, 1)
		r1 := a.next()
		equal(t, "the first flight", r1.asks(), []int{1})

		var behind []*caller
		for i := 2; i <= 9; i++ {
			behind = append(behind, a.ask(l, i))
		}
		a.nothingFlies()
		if l.Idle() {
			t.Error("Idle = true while something flies")
		}
		r1.land()
		first.wants(t, 10, nil)
		r2 := a.next()
		equal(t, "the second flight, in the order of arrival", r2.asks(), []int{2, 3, 4, 5, 6, 7, 8, 9})
		for _, c := range behind {
			c.waits(t)
		}
		r2.land()
		for i, c := range behind {
			c.wants(t, 10*(i+2), nil)
		}
		a.nothingFlies()
		if !l.Idle() {
			t.Error("Idle = false after all have landed")
		}
		a.done()
	})
}

func TestAFlightCarries1024AtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l := a.lane("a")
		first := a.ask(l, -1)
		r := a.next()
		const crowd = 2500
		var answered atomic.Int64
		for i := range crowd {
			go func() {
				if answer, _, err := l.Do(t.Context(), i, timeout); answer == 10*i && err == nil {
					answered.Add(1)
				}
			}()
		}
		synctest.Wait()
		r.land()
		first.wants(t, -10, nil)
		flown := 0
		for _, want := range []int{1024, 1024, crowd - 2048} {
			r := a.next()
			if got := len(r.asks()); got != want {
				t.Fatalf("a flight has %d questions; want %d", got, want)
			}
			flown += want
			r.land()
			synctest.Wait()
			if got := int(answered.Load()); got != flown {
				t.Errorf("%d callers have their answers; want %d", got, flown)
			}
		}
		a.done()
	})
}

// Rule L3: a caller's clock starts when it arrives, and a flight that times out
// answers those behind it, which do not take off.
func TestATimeoutEndsEveryoneBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		if deadline, ok := r.ctx.Deadline(); !ok || time.Until(deadline) != timeout {
			t.Errorf("the flight's deadline is in %v; want %v", time.Until(deadline), timeout)
		}
		time.Sleep(60 * time.Millisecond)
		second := a.ask(l, 2)
		time.Sleep(39 * time.Millisecond)
		third := a.ask(l, 3)
		first.waits(t)
		time.Sleep(time.Millisecond)
		for _, c := range []*caller{first, second, third} {
			c.wants(t, 0, flight.ErrTimeout)
		}
		for i, took := range []time.Duration{timeout, 40 * time.Millisecond, time.Millisecond} {
			if got := []*caller{first, second, third}[i].took; got != took {
				t.Errorf("caller %d waited %v; want %v", i+1, got, took)
			}
		}
		if r.ctx.Err() == nil {
			t.Error("the flight's ctx lives on after its time")
		}
		a.nothingFlies()
		a.done()
	})
}

// crowd makes a lane on which nobody flies alone: its last flight had two aboard.
func (a *airport) crowd(key string) *testLane {
	l := a.lane(key)
	callers := make([]*caller, 3)
	callers[0] = a.ask(l, 1)
	r := a.next()
	callers[1], callers[2] = a.ask(l, 2), a.ask(l, 3)
	r.land()
	a.next().land()
	for i, c := range callers {
		c.wants(a.t, 10*(i+1), nil)
	}
	return l
}

// A late answer is dropped, and the lane goes on.
func TestALateAnswerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handed := 0
		a := newAirport(t, func(*testFlight, *testFlight) { handed++ })
		a.hangs.Store(true)
		l := a.crowd("a")
		handed = 0
		late := a.ask(l, 1)
		r := a.next()
		time.Sleep(timeout)
		late.wants(t, 0, flight.ErrTimeout)
		waits := a.ask(l, 2)
		a.nothingFlies() // one flight a lane, even if it is late
		r.land()
		r = a.next()
		equal(t, "the next flight", r.asks(), []int{2})
		late.wants(t, 0, flight.ErrTimeout)
		if handed != 0 {
			t.Error("the answers of a late flight were handed over")
		}
		r.land()
		waits.wants(t, 20, nil)
		a.done()
	})
}

// A store that takes no notice of its ctx keeps nobody who queues longer than
// Timeout. (Who flies alone is where it calls the store, as with any function.)
func TestAFlightThatHangsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		a.hangs.Store(true)
		l := a.crowd("a")
		first := a.ask(l, 1)
		hung := a.next()
		time.Sleep(timeout)
		first.wants(t, 0, flight.ErrTimeout)
		for i := range 10 {
			c := a.ask(l, i)
			time.Sleep(timeout)
			c.wants(t, 0, flight.ErrTimeout)
			if c.took != timeout {
				t.Errorf("caller %d waited %v; want %v", i, c.took, timeout)
			}
		}
		other := a.ask(a.lane("b"), 7)
		a.next().land()
		other.wants(t, 70, nil) // the other pilot flies
		hung.land()
		again := a.ask(l, 3)
		a.next().land()
		again.wants(t, 30, nil)
		a.done()
	})
}

func TestCancelledBeforeTakeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		second, third, fourth := a.ask(l, 2), a.ask(l, 3), a.ask(l, 4)
		why := errors.New("no longer wanted")
		third.leave(why)
		third.wants(t, 0, why)
		if third.took != 0 {
			t.Errorf("it took %v to leave", third.took)
		}
		r.land()
		first.wants(t, 10, nil)
		r = a.next()
		equal(t, "the next flight", r.asks(), []int{2, 4})
		r.land()
		second.wants(t, 20, nil)
		fourth.wants(t, 40, nil)
		a.done()
	})
}

// Those who ask the same next to each other are one run, and each knows its place
// among those who were asked for.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, giveToNext)
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		var sevens []*caller
		for range 5 {
			sevens = append(sevens, a.ask(l, 7))
		}
		eight, seven := a.ask(l, 8), a.ask(l, 7)
		why := errors.New("no longer wanted")
		sevens[1].leave(why)
		sevens[1].wants(t, 0, why)
		first.leave(why) // whose answer goes to the first of those behind
		synctest.Wait()
		r.land()
		r = a.next()
		equal(t, "the next flight", r.asks(), []int{7, 7, 7, 8, 7})
		sevens[3].leave(why) // in the air: its place stays its own
		sevens[3].wants(t, 0, why)
		r.land()
		sevens[0].wants(t, 10, nil)
		for _, c := range []*caller{sevens[2], sevens[4], seven} {
			c.wants(t, 70, nil)
		}
		eight.wants(t, 80, nil)
		equal(t, "places", []int{sevens[0].place, sevens[2].place, sevens[4].place, eight.place, seven.place}, []int{0, 0, 2, 0, 0})
		a.done()
	})
}

func TestCancelledInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := []bool{}
		a := newAirport(t, func(landed, _ *testFlight) {
			for i := range landed.Runs {
				left = append(left, landed.Runs[i].Left(0))
			}
		})
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		second, third := a.ask(l, 2), a.ask(l, 3)
		r.land()
		first.wants(t, 10, nil)
		r = a.next()
		why := errors.New("no longer wanted")
		left = nil
		second.leave(why)
		second.wants(t, 0, why)
		if second.took != 0 {
			t.Errorf("it took %v to leave", second.took)
		}
		third.waits(t)
		equal(t, "what flies", r.asks(), []int{2, 3}) // who left in the air is not taken off the list
		r.land()
		third.wants(t, 30, nil)
		if len(left) != 2 || !left[0] || left[1] {
			t.Errorf("Left = %v; want true, false", left)
		}
		a.done()
	})
}

// A caller that flies alone comes back with its flight. If it no longer wants
// the answer by then, the next in line may have it.
func TestCancelledInFlightAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, giveToNext)
		l := a.lane("a")
		c := a.ask(l, 1)
		r := a.next()
		heir := a.ask(l, 2)
		time.Sleep(30 * time.Millisecond)
		why := errors.New("no longer wanted")
		c.leave(why)
		synctest.Wait()
		if r.ctx.Err() != nil {
			t.Error("the flight was cancelled with its caller")
		}
		r.land()
		c.wants(t, 0, why)
		heir.wants(t, 10, nil)
		a.nothingFlies()
		a.done()
	})
}

// A flight that is cut off, as by a panic in Fly, takes nobody with it.
func TestAPanicInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		shard := flight.NewShard(flight.Config[string, int, int]{
			Timeout:  timeout,
			Now:      time.Now,
			Life:     t.Context(),
			HandOver: func(*testFlight, *testFlight) {},
			Go:       func(f func(context.Context)) bool { go f(t.Context()); return true },
			Fly: func(_ context.Context, flights []*testFlight) {
				if broken {
					panic("the store's bug")
				}
				flights[0].Runs[0].Answer = 5
			},
		})
		var l testLane
		l.Init(shard, "a")
		for range 3 {
			func() {
				defer func() {
					if p := recover(); p != "the store's bug" {
						t.Errorf("recovered %v", p)
					}
				}()
				_, _, err := l.Do(t.Context(), 1, timeout)
				t.Errorf("Do returned %v; want a panic", err)
			}()
		}
		broken = false
		if answer, _, err := l.Do(t.Context(), 1, timeout); answer != 5 || err != nil {
			t.Errorf("afterwards Do = %d, %v; want 5, nil", answer, err)
		}
	})
}

// giveToNext is a HandOver that gives the answers of callers who left to those
// of the next flight, who ask nothing twice.
func giveToNext(landed, next *testFlight) {
	to := 0
	for i := range landed.Runs {
		if landed.Runs[i].Left(0) && next != nil && to < len(next.Runs) {
			next.Runs[to].Serve(0, landed.Runs[i].Answer)
			to++
		}
	}
}

func TestAnAnswerIsHandedToTheNextFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, giveToNext)
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		heir, other := a.ask(l, 2), a.ask(l, 3)
		first.leave(context.Canceled)
		synctest.Wait()
		r.land()
		first.wants(t, 0, context.Canceled)
		r = a.next()
		equal(t, "the next flight", r.asks(), []int{3}) // the heir wants nothing more
		r.fail(errStore)
		heir.wants(t, 10, nil) // the flight's failure does not concern it
		other.wants(t, 0, errStore)
		a.done()
	})
}

func TestAnAnswerHandedOverSurvivesATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, giveToNext)
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		heir, other := a.ask(l, 2), a.ask(l, 3)
		first.leave(context.Canceled)
		synctest.Wait()
		r.land()
		r = a.next()
		time.Sleep(timeout)
		heir.wants(t, 10, nil)
		other.wants(t, 0, flight.ErrTimeout)
		equal(t, "what flew", r.asks(), []int{3})
		a.done()
	})
}

// A caller who leaves after it was given an answer has it: nothing is lost.
func TestAnAnswerHandedOverIsKeptByWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, giveToNext)
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		heir, other := a.ask(l, 2), a.ask(l, 3)
		first.leave(context.Canceled)
		synctest.Wait()
		r.land()
		r = a.next()
		heir.leave(context.Canceled)
		heir.wants(t, 10, nil)
		r.land()
		other.wants(t, 30, nil)
		a.done()
	})
}

func TestAShorterTimeOfOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l := a.lane("a")
		short := a.askWithin(l, 1, 30*time.Millisecond)
		r := a.next()
		if deadline, _ := r.ctx.Deadline(); time.Until(deadline) != timeout {
			t.Errorf("the flight has %v; want %v, whatever its caller has", time.Until(deadline), timeout)
		}
		long, queued := a.ask(l, 2), a.askWithin(l, 3, 10*time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		queued.wants(t, 0, flight.ErrTimeout)
		short.waits(t)
		time.Sleep(20 * time.Millisecond)
		short.wants(t, 0, flight.ErrTimeout)
		long.waits(t)
		if r.ctx.Err() != nil {
			t.Error("the flight was cancelled with its first caller")
		}
		r.land()
		r = a.next()
		equal(t, "the next flight", r.asks(), []int{2})
		r.land()
		long.wants(t, 20, nil)
		a.done()
	})
}

func TestAFailureAnswersEveryoneBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l := a.lane("a")
		first := a.ask(l, 1)
		r := a.next()
		second := a.ask(l, 2)
		r.fail(errStore)
		first.wants(t, 0, errStore)
		second.wants(t, 0, errStore)
		a.nothingFlies()
		third := a.ask(l, 3)
		a.next().land()
		third.wants(t, 30, nil)
		a.done()
	})
}

func TestManyLanesRideTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		const lanes = 600
		callers := make([]*caller, lanes)
		rides := []*ride{}
		for i := range lanes {
			callers[i] = a.ask(a.lane("x"), i)
			if i < 2 {
				rides = append(rides, a.next())
			}
		}
		a.nothingFlies() // two rides are in the air, whatever waits
		flown := 0
		for len(rides) > 0 {
			if n := a.flying.Load(); n > 2 {
				t.Fatalf("%d rides in the air; want 2 at most", n)
			}
			if n := len(rides[0].flights); n > 64 {
				t.Fatalf("%d flights ride together; want 64 at most", n)
			}
			flown += len(rides[0].flights)
			rides[0].land()
			rides = rides[1:]
			synctest.Wait()
			for more := true; more; {
				select {
				case r := <-a.rides:
					rides = append(rides, r)
				default:
					more = false
				}
			}
		}
		if flown != lanes {
			t.Errorf("%d flights; want %d", flown, lanes)
		}
		for i, c := range callers {
			c.wants(t, 10*i, nil)
		}
		a.done()
	})
}

// Flights that ride together end with the first of their deadlines.
func TestARideEndsWithItsFirstDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		one, two := a.ask(a.lane("a"), 1), a.ask(a.lane("b"), 2)
		r1, r2 := a.next(), a.next()
		early := a.ask(a.lane("c"), 3)
		time.Sleep(40 * time.Millisecond)
		late := a.ask(a.lane("d"), 4)
		r1.land()
		one.wants(t, 10, nil)
		r := a.next()
		equal(t, "the ride", r.asks(), []int{3, 4})
		if deadline, _ := r.ctx.Deadline(); time.Until(deadline) != 60*time.Millisecond {
			t.Errorf("the ride has %v; want 60ms", time.Until(deadline))
		}
		r2.land()
		r.land()
		two.wants(t, 20, nil)
		early.wants(t, 30, nil)
		late.wants(t, 40, nil)
		a.done()
	})
}

// A lane waits for a pilot no longer than for a store.
func TestNoPilotInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		a.hangs.Store(true)
		one, two := a.crowd("a"), a.crowd("b")
		a.ask(one, 1)
		a.ask(two, 2)
		r1, r2 := a.next(), a.next()
		time.Sleep(50 * time.Millisecond)
		l := a.lane("c")
		waiting := a.ask(l, 3)
		time.Sleep(timeout)
		waiting.wants(t, 0, flight.ErrTimeout)
		again := a.ask(l, 4)
		r1.land()
		r2.land()
		r := a.next()
		equal(t, "the ride", r.asks(), []int{4})
		r.land()
		again.wants(t, 40, nil)
		a.done()
	})
}

// Lanes that are kicked together fly together.
func TestKickedLanesRideTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		lanes := make([]*flight.Lane[string, int, int], 5)
		for i := range lanes {
			lanes[i] = a.lane(string(rune('a' + i)))
		}
		a.shard.Kick(lanes...)
		a.shard.Kick() // nobody
		r := a.next()
		if len(r.flights) != len(lanes) {
			t.Errorf("%d flights in the first ride; want %d", len(r.flights), len(lanes))
		}
		r.land()
		a.nothingFlies()
		a.done()
	})
}

func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l := a.lane("a")
		a.shard.Kick(l)
		r := a.next()
		if len(r.flights) != 1 || len(r.flights[0].Runs) != 0 {
			t.Fatalf("%d flights with %v; want one with nobody aboard", len(r.flights), r.asks())
		}
		a.shard.Kick(l) // flies when the first has landed
		c := a.ask(l, 1)
		a.nothingFlies()
		r.land()
		r = a.next()
		equal(t, "the second", r.asks(), []int{1})
		r.land()
		c.wants(t, 10, nil)
		a.nothingFlies()
		a.done()
		a.close()
		a.shard.Kick(l)
		a.nothingFlies()
		if !l.Idle() {
			t.Error("Idle = false after a kick that nobody flies")
		}
	})
}

func TestCloseWhileFlying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport(t, nil)
		l, other := a.lane("a"), a.lane("b")
		first := a.ask(l, 1)
		r := a.next()
		behind := a.ask(l, 2)
		a.close()
		if r.ctx.Err() == nil {
			t.Error("the flight's ctx outlives its owner")
		}
		first.wants(t, 0, context.Canceled)
		behind.wants(t, 0, context.Canceled)
		late := a.ask(other, 3)
		late.wants(t, 0, flight.ErrClosed)
		a.nothingFlies()
		a.done()
		after := a.ask(l, 4)
		after.wants(t, 0, flight.ErrClosed)
		if after.took != 0 || !l.Idle() || !other.Idle() {
			t.Errorf("after the end a call took %v; Idle = %v, %v", after.took, l.Idle(), other.Idle())
		}
	})
}

// TestEveryAnswerGoesToOneCaller lets many callers come and leave at random
// moments: each question is answered once, to who asked it, or its caller left.
func TestEveryAnswerGoesToOneCaller(t *testing.T) {
	var flown, handed, got, left atomic.Int64
	shard := flight.NewShard(flight.Config[string, int, int]{
		Timeout: time.Minute,
		Now:     time.Now,
		HandOver: func(landed, _ *testFlight) {
			for i := range landed.Runs {
				for seat := range landed.Runs[i].Aboard() {
					if landed.Runs[i].Left(seat) {
						handed.Add(1)
					}
				}
			}
		},
		Fly: func(_ context.Context, flights []*testFlight) {
			for _, f := range flights {
				for i := range f.Runs {
					f.Runs[i].Answer = f.Runs[i].Ask + 1
					flown.Add(int64(f.Runs[i].Wanted()))
				}
			}
		},
		Life: t.Context(),
		Go:   func(f func(context.Context)) bool { go f(t.Context()); return true },
	})
	lanes := [3]testLane{}
	for i := range lanes {
		lanes[i].Init(shard, "x")
	}
	var all sync.WaitGroup
	for c := range 32 {
		all.Go(func() {
			for n := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if n%3 == 0 {
					go cancel()
				}
				ask := c<<16 | n
				switch answer, _, err := lanes[n%3].Do(ctx, ask, time.Minute); {
				case err == nil && answer == ask+1:
					got.Add(1)
				case err == nil:
					t.Errorf("answer %d to %d", answer, ask)
				case errors.Is(err, context.Canceled):
					left.Add(1)
				default:
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if got.Load()+left.Load() != 32*500 {
		t.Errorf("%d answered, %d left; want %d together", got.Load(), left.Load(), 32*500)
	}
	if flown.Load() != got.Load()+handed.Load() {
		t.Errorf("%d were flown; %d were answered and %d could be handed over", flown.Load(), got.Load(), handed.Load())
	}
}
