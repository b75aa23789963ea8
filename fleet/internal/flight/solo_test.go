package flight

import (
	"context"
	"testing"
	"time"
)

// TestAPilotWaitsForWhoFliesAlone: a pilot has the lane, and what waited in it ends before
// it takes off. Who comes then flies alone; and what waits behind that takes off when it
// has landed, not beside it.
func TestAPilotWaitsForWhoFliesAlone(t *testing.T) {
	s := NewShard(Config[string, int, int]{
		Timeout: time.Minute, Now: time.Now, Life: t.Context(),
		HandOver: func(*Flight[string, int, int], *Flight[string, int, int]) {},
		Go:       func(func(context.Context)) bool { return true },
	})
	var l Lane[string, int, int]
	l.Init(s, "k")
	board := func() (f *Flight[string, int, int], list bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		f, _, list = l.board(1)
		return f, list
	}
	f, list := board()
	if !list {
		t.Fatal("the lane is not listed")
	}
	l.expire(f) // and the pilot is on the way
	l.mu.Lock()
	alone := l.boardAlone(1, time.Minute)
	l.mu.Unlock()
	if alone == nil {
		t.Fatal("nobody flies alone")
	}
	if _, list = board(); list {
		t.Error("the lane is listed while somebody flies")
	}
	if f, ok := l.takeOff(); ok {
		t.Errorf("two are in the air: %v", f)
	}
	if again := l.land(); !again {
		t.Error("who waits behind the landing is forgotten")
	}
	if _, ok := l.takeOff(); !ok {
		t.Error("who waited does not take off")
	}
}
