package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A holdStep is one thing that a replica says, and the answer.
type holdStep struct {
	after                 time.Duration
	who                   string
	seq, room, keep, want int64
	lasting               time.Duration
	held, may             int64
	why                   string
}

// permitStories are what a store promises of a fleet's bulkheads.
func permitStories() map[string][]holdStep {
	const life = 3 * time.Second
	return map[string][]holdStep{
		"there is no more than the room": {
			{0, "a", 1, 10, 0, 4, life, 4, 4, "what it wants is there"},
			{0, "b", 1, 10, 0, 9, life, 6, 6, "and for another one what is left"},
			{0, "c", 1, 10, 0, 1, life, 0, 0, "and then none"},
			{0, "a", 2, 10, 0, 0, life, 0, 0, "who leaves gives all back"},
			{0, "c", 2, 10, 0, 1, life, 1, 1, "for others"},
		},
		"what is said is absolute": {
			{0, "a", 5, 10, 0, 4, life, 4, 4, ""},
			{0, "a", 5, 10, 0, 9, life, 4, 4, "the same once more changes nothing"},
			{0, "a", 4, 10, 0, 0, life, 4, 4, "nor does what comes late"},
			{0, "a", 6, 10, 2, 2, life, 2, 2, "what it says next does"},
			{0, "b", 1, 10, 0, 8, life, 8, 8, ""},
		},
		"a holder that dies loses its permits": {
			{0, "a", 1, 3, 0, 3, life, 3, 3, ""},
			{life - us, "b", 1, 3, 0, 1, life, 0, 0, "not before its time is over"},
			{us, "b", 2, 3, 0, 1, life, 1, 1, "and then at once"},
			{0, "a", 2, 3, 3, 3, life, 2, 2, "if it comes back it gets what is there, whatever it runs"},
		},
		"who goes on to speak keeps them": {
			{0, "a", 1, 3, 0, 3, life, 3, 3, ""},
			{life - us, "a", 2, 3, 3, 3, life, 3, 3, ""},
			{life - us, "b", 1, 3, 0, 3, life, 0, 0, ""},
		},
		"what more is wanted than there is, is shared": {
			{0, "a", 1, 10, 0, 10, life, 10, 10, ""},
			{0, "b", 1, 10, 0, 10, life, 0, 0, ""},
			{0, "a", 2, 10, 10, 12, life, 10, 5, "what runs goes on, and none begins beyond an even share"},
			{0, "a", 3, 10, 7, 12, life, 7, 5, "as calls end it gives back"},
			{0, "b", 2, 10, 0, 10, life, 3, 3, ""},
			{0, "a", 4, 10, 4, 12, life, 5, 5, "and keeps its share"},
			{0, "b", 3, 10, 3, 10, life, 5, 5, ""},
		},
		"who wants little leaves the rest to others": {
			{0, "a", 1, 10, 0, 1, life, 1, 1, ""},
			{0, "b", 1, 10, 0, 20, life, 9, 9, "more than the half"},
			{0, "a", 2, 10, 1, 3, life, 1, 1, "until more is wanted there"},
			{0, "b", 2, 10, 9, 20, life, 9, 7, ""},
		},
		"each of many has one at least, as far as there are any": {
			{0, "a", 1, 2, 0, 5, life, 2, 2, ""},
			{0, "b", 1, 2, 0, 5, life, 0, 0, ""},
			{0, "c", 1, 2, 0, 5, life, 0, 0, ""},
			{0, "a", 2, 2, 1, 5, life, 1, 1, ""},
			{0, "c", 2, 2, 0, 5, life, 1, 1, "who comes first has it"},
			{0, "b", 2, 2, 0, 5, life, 0, 0, ""},
		},
		"of less room than there are of them each has its turn": {
			{0, "a", 1, 1, 0, 3, life, 1, 1, ""},
			{0, "b", 1, 1, 0, 3, life, 0, 0, ""},
			{0, "a", 2, 1, 1, 3, life, 1, 1, "it is its turn"},
			{250 * time.Millisecond, "a", 3, 1, 1, 3, life, 1, 0, "which is over: what runs goes on"},
			{0, "b", 2, 1, 0, 3, life, 0, 0, ""},
			{0, "a", 4, 1, 0, 3, life, 0, 0, "and as it ends makes way"},
			{0, "b", 3, 1, 0, 3, life, 1, 1, ""},
			{250 * time.Millisecond, "b", 4, 1, 1, 3, life, 1, 0, ""},
		},
		"a smaller room takes nothing from what runs": {
			{0, "a", 1, 10, 0, 8, life, 8, 8, ""},
			{0, "a", 2, 5, 8, 8, life, 8, 5, ""},
			{0, "b", 1, 5, 0, 2, life, 0, 0, ""},
			{0, "a", 3, 5, 4, 5, life, 4, 3, "which leaves to the other what it is owed"},
		},
		"a clock that steps back makes nobody's time longer": {
			{0, "a", 1, 3, 0, 3, life, 3, 3, ""},
			{-time.Hour, "b", 1, 3, 0, 1, life, 0, 0, ""},
			{life, "b", 2, 3, 0, 1, life, 1, 1, ""},
		},
	}
}

// TestPermits is the conformance suite of a [port.PermitStore].
func TestPermits(t *testing.T, newStore Maker) {
	t.Helper()
	for name, story := range permitStories() {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			permits := newStore(t, clock.now).Permits
			for i, s := range story {
				clock.move(s.after)
				in := []port.HoldRequest{{Bulkhead: port.ID{Name: "b"}, Ask: bulkhead.Ask{
					Holder: s.who, Seq: s.seq, Room: s.room, Keep: s.keep, Want: s.want, Lasting: s.lasting.Microseconds(),
				}}}
				var out [1]port.HoldReply
				permits.Hold(t.Context(), in, out[:])
				if want := (port.HoldReply{Answer: bulkhead.Answer{Held: s.held, Room: s.may}}); out[0] != want {
					t.Fatalf("step %d, %+v: %+v; want %+v: %s", i, in[0].Ask, out[0], want, s.why)
				}
			}
		})
	}
	t.Run("bulkheads are apart, and answers in order", func(t *testing.T) {
		permits := newStore(t, newClock().now).Permits
		in, out := make([]port.HoldRequest, 3), make([]port.HoldReply, 3)
		for i, name := range []string{"x", "y", "x"} {
			in[i] = port.HoldRequest{Bulkhead: port.ID{Name: name}, Ask: bulkhead.Ask{
				Holder: string(rune('a' + i)), Seq: 1, Room: 5, Want: 3 + int64(i), Lasting: 1_000_000,
			}}
		}
		permits.Hold(t.Context(), in, out)
		for i, want := range []int64{3, 4, 2} {
			if out[i].Err != nil || out[i].Held != want {
				t.Errorf("request %d: %+v; want %d", i, out[i], want)
			}
		}
	})
	t.Run("who is not waited for is not heeded", func(t *testing.T) {
		permits := newStore(t, newClock().now).Permits
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		in := []port.HoldRequest{{Bulkhead: port.ID{Name: "x"}, Ask: bulkhead.Ask{Holder: "a", Seq: 1, Room: 5, Want: 3, Lasting: 1_000_000}}}
		var out [1]port.HoldReply
		permits.Hold(ctx, in, out[:])
		if _, ok := errors.AsType[*domain.StoreError](out[0].Err); !ok {
			t.Errorf("%+v; want a *StoreError", out[0])
		}
	})
}
