package flight

import (
	"context"
	"testing"
	"time"
)

// TestNobodyFliesAloneFromALaneThatAPilotHas: a pilot has the lane, and what waited in it
// ends before they take off. Who comes then must not fly past the pilot, or there would
// be two in the air.
func TestNobodyFliesAloneFromALaneThatAPilotHas(t *testing.T) {
	s := NewShard(Config[string, int, int]{
		Timeout: time.Minute, Now: time.Now, Life: t.Context(),
		HandOver: func(*Flight[string, int, int], *Flight[string, int, int]) {},
		Go:       func(func(context.Context)) bool { return true },
	})
	var l Lane[string, int, int]
	l.Init(s, "k")
	board := func() *Flight[string, int, int] {
		l.mu.Lock()
		defer l.mu.Unlock()
		f, _, list := l.board(1)
		if list != (l.flying == nil) {
			t.Fatalf("listed: %t", list)
		}
		return f
	}
	l.expire(board()) // listed, and the pilot has it
	l.mu.Lock()
	alone := l.boardAlone(1, time.Minute)
	l.mu.Unlock()
	if alone != nil {
		t.Error("a caller flies alone from a lane that a pilot has")
	}
	if f, ok := l.takeOff(); ok {
		t.Errorf("an empty lane took off: %v", f)
	}
}
