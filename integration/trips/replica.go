package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// replicaEnv tells a process of this program that it is a replica, and how.
const replicaEnv = "HOLDFAST_TRIPS_REPLICA"

// An order is what a replica process has to do.
type order struct {
	Addr    string        `json:"addr"`
	Rate    int           `json:"rate"` // calls a second
	Deaf    bool          `json:"deaf"`
	OpenFor time.Duration `json:"open_for"`
}

// A word is what a replica process says, each on a line of its own.
type word struct {
	Known   bool   `json:"known"`    // it has heard of the breaker, and is ready
	State   string `json:"state"`    // of the fleet's layer, which it has just learnt
	Epoch   uint64 `json:"epoch"`    // of that
	AtMicro int64  `json:"at_micro"` // when, Unix µs
	// Let through by this replica after the trip, as it learns of the closing.
	Calls     int   `json:"calls"`
	LastMicro int64 `json:"last_micro"` // the last of them; 0 = none
}

// replicaMain is the life of a replica process. It ends with its standard input.
func replicaMain(text string, in io.Reader, out, errs io.Writer) int {
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = replica(o, in, out)
	}
	if err != nil {
		fmt.Fprintln(errs, "trips: a replica:", err)
		return exitFail
	}
	return exitOK
}

// replica calls until in ends, which also says how the dependency is: a line "down",
// or a line "up".
func replica(o order, in io.Reader, out io.Writer) error {
	client := redis.NewClient(&redis.Options{Addr: o.Addr})
	defer client.Close()
	stores := redisstore.New(client, "trips", redisstore.Options{}).Stores()
	if o.Deaf {
		stores.Views = deaf{stores.Views}
	}
	r := &reporter{out: out}
	joined, err := fleet.Join(stores, fleet.Config{OnEvent: r.hear, StoreTimeout: time.Second})
	if err != nil {
		return err
	}
	defer func() { _ = joined.Close(context.Background()) }()
	breaker, err := joined.Breaker(domain.CircuitBreaker{
		Name: breakerName, SuccessThreshold: 1,
		RecoveryTimeout: o.OpenFor, MaxRecoveryTimeout: o.OpenFor, MaxHalfOpen: time.Minute,
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var down atomic.Bool
	var calling sync.WaitGroup
	calling.Go(func() { r.calls(ctx, breaker, o.Rate, &down) })
	for lines := bufio.NewScanner(in); lines.Scan(); {
		down.Store(lines.Text() == lineDown)
	}
	stop()
	calling.Wait()
	return nil
}

const breakerName = "payments"

// deaf is a store whose pushes are lost.
type deaf struct{ port.ViewSource }

func (deaf) Watch(ctx context.Context, _ func(port.ID, port.View)) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// A reporter tells the parent what its replica learns and does.
type reporter struct {
	mu     sync.Mutex
	out    io.Writer
	trip   uint64 // the epoch of the last one
	passed []int64
}

// hear is the replica's listener: its view of the fleet has just turned.
func (r *reporter) hear(e domain.Event) {
	if e.Kind != domain.EventBreaker || e.Scope != domain.ScopeFleet {
		return
	}
	w := word{State: e.To.String(), Epoch: e.Epoch, AtMicro: now().UnixMicro()}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.From == domain.StateClosed:
		r.trip = e.Epoch
	case e.To == domain.StateClosed:
		for _, at := range r.passed {
			if at > int64(r.trip) {
				w.Calls++
				w.LastMicro = at
			}
		}
		r.passed = r.passed[:0]
	}
	r.say(w)
}

// say requires that r.mu is held. A parent that is gone ends this process, too.
func (r *reporter) say(w word) {
	if line, err := json.Marshal(w); err == nil {
		_, _ = r.out.Write(append(line, '\n'))
	}
}

// calls makes so many calls a second, evenly, from a random beginning.
func (r *reporter) calls(ctx context.Context, b *fleet.Breaker, rate int, down *atomic.Bool) {
	every := time.Second / time.Duration(rate)
	pause := time.NewTimer(rand.N(every))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for known := false; ; {
		r.call(ctx, b, down)
		if !known && b.Status().Epoch != 0 {
			known = true
			r.mu.Lock()
			r.say(word{Known: true})
			r.mu.Unlock()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// call makes one, and remembers when it was let through; probes may be.
func (r *reporter) call(ctx context.Context, b *fleet.Breaker, down *atomic.Bool) {
	permit, err := b.Acquire(ctx)
	if err != nil {
		return
	}
	at := now().UnixMicro()
	if _, probes := permit.Lease(); !probes && down.Load() {
		r.mu.Lock()
		r.passed = append(r.passed, at)
		r.mu.Unlock()
	}
	outcome := domain.Success
	if down.Load() {
		outcome = domain.Failure
	}
	permit.Report(outcome)
}
