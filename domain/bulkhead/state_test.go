package bulkhead_test

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain/bulkhead"
)

// However replicas speak, die and come back, all that they hold together is never more
// than the room, and nobody may run more than it holds or wants.
func TestNeverMoreThanTheRoom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		room := rapid.Int64Range(1, 20).Draw(rt, "room")
		st, now, seqs := bulkhead.State{}, int64(1_000_000_000), map[string]int64{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now += rapid.Int64Range(-2_000_000, 2_000_000).Draw(rt, "after")
			who := strconv.Itoa(rapid.IntRange(0, 4).Draw(rt, "who"))
			seqs[who] += rapid.Int64Range(0, 1).Draw(rt, "fresh")
			ask := bulkhead.Ask{
				Holder: who, Seq: seqs[who], Room: room,
				Keep: rapid.Int64Range(0, 25).Draw(rt, "running"), Want: rapid.Int64Range(0, 25).Draw(rt, "want"),
				Lasting: rapid.Int64Range(0, 3_000_000).Draw(rt, "lasting"),
			}
			before := st[who].Seq
			a := st.Hold(now, ask)
			if a.Room > a.Held || a.Room < 0 {
				rt.Fatalf("%+v: %+v", ask, a)
			}
			if ask.Seq > before && a.Room > ask.Want {
				rt.Fatalf("%+v: %+v is more than it wants", ask, a)
			}
			total := int64(0)
			for _, h := range st {
				total += h.Held
			}
			if total > room {
				rt.Fatalf("%d of %d are held: %+v", total, room, st)
			}
		}
	})
}

// Two that want more than there is come to an even share, by giving back what ends, and
// nothing of the room is left unused.
func TestSharesBecomeEven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		room := rapid.Int64Range(2, 30).Draw(rt, "room")
		st, seq := bulkhead.State{}, int64(0)
		holders := []string{"a", "b"}
		held := map[string]int64{}
		for range 2 * room {
			for _, who := range holders {
				seq++
				a := st.Hold(1000, bulkhead.Ask{Holder: who, Seq: seq, Room: room, Keep: max(held[who]-1, 0), Want: 100, Lasting: 1000})
				held[who] = a.Held
			}
		}
		if a, b := held["a"], held["b"]; a+b != room || a-b > 1 || b-a > 1 {
			rt.Fatalf("of %d one has %d and the other %d", room, a, b)
		}
	})
}

// FuzzHold: whatever is asked, it does not panic, and nobody is given more than the room.
func FuzzHold(f *testing.F) {
	f.Add(int64(0), int64(1), int64(1), int64(0), int64(1), int64(1))
	f.Add(int64(-1), int64(-1), int64(-1), int64(-1), int64(-1), int64(-1))
	f.Add(int64(1<<62), int64(1<<62), int64(1<<62), int64(1<<62), int64(1<<62), int64(1<<62))
	f.Fuzz(func(t *testing.T, now, seq, room, running, want, lasting int64) {
		st := bulkhead.State{"other": {Seq: 1, Held: 1, Want: 2, AtMicro: now / 2, Lasting: lasting / 2}}
		a := st.Hold(now/2, bulkhead.Ask{Holder: "a", Seq: seq, Room: room, Keep: running, Want: want, Lasting: lasting / 2})
		if a.Held < 0 || a.Room > max(a.Held, 0) || a.Held > max(room, 0) {
			t.Fatalf("%+v of a room of %d", a, room)
		}
	})
}
