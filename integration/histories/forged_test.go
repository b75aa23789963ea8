package histories

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/holdfast-go/holdfast/domain/port"
)

// forgeries tells what happened a little differently, and has it judged: a check
// that accepts everything is worth nothing.
func (h *history) forgeries(t *testing.T, rng *rand.Rand) {
	t.Helper()
	for _, forgery := range []struct {
		what string
		// forge changes one operation, of those of a key in the order of the
		// server's time; false = not this one.
		forge func(ops []porcupine.Operation, i int) bool
	}{
		{"one more is granted", forgeTake(func(r *port.TakeReply) { r.Granted++ })},
		{"one token less is left", forgeTake(func(r *port.TakeReply) { r.Remaining-- })},
		{"a denial lasts a microsecond longer", forgeTake(func(r *port.TakeReply) { r.RetryAfter += time.Microsecond })},
		{"the asker's own limit decided", forgeTake(func(r *port.TakeReply) { r.Foreign = !r.Foreign })},
		{"an epoch is another one", forgeView(func(v *port.View) { v.Epoch++ })},
		{"a state is lost", forgeView(func(v *port.View) { v.Fresh = !v.Fresh })},
		{"an open breaker waits a microsecond less", forgeView(func(v *port.View) { v.For-- })},
		{"a probe is granted to one more", forgeProbe},
		{"a grant is forgotten", forget},
		{"a call is decided before it is made", func(ops []porcupine.Operation, i int) bool { return swap(ops, i, i+1) }},
		{"a call is decided after it has returned", func(ops []porcupine.Operation, i int) bool { return swap(ops, i+1, i) }},
	} {
		t.Run(forgery.what, func(t *testing.T) { h.forge(t, rng, forgery.forge) })
	}
	t.Run("nothing was lost", func(t *testing.T) {
		never := serverNow() // later than all of it
		h.relose(t, func(loss) loss { return loss{hadMicro: never, cutMicro: never} })
	})
	t.Run("too much was lost", func(t *testing.T) {
		h.relose(t, func(loss) loss { return loss{all: true} })
	})
}

// forge tells the history of a few keys with one forgery in each. They are keys
// of which everything is known: elsewhere a forgery may just have happened.
func (h *history) forge(t *testing.T, rng *rand.Rand, forge func(ops []porcupine.Operation, i int) bool) {
	t.Helper()
	const enough = 5
	tried := 0
	for _, key := range slices.Sorted(maps.Keys(h.keys)) {
		ops := slices.Clone(h.keys[key])
		if slices.ContainsFunc(ops, func(op porcupine.Operation) bool { return op.Input.(ask).unknown }) {
			continue
		}
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Input.(ask).atMicro, b.Input.(ask).atMicro) })
		for _, i := range rng.Perm(len(ops)) {
			if !forge(ops, i) {
				continue
			}
			forged := history{keys: map[string][]porcupine.Operation{key: ops}, losses: h.losses}
			if len(forged.illegal(t)) == 0 {
				t.Errorf("%s: not found, at operation %d of %d: %s", key, i, len(ops), describe(ops[i].Input, ops[i].Output))
			}
			tried++
			break
		}
		if tried == enough {
			return
		}
	}
	if tried == 0 {
		t.Error("nothing to forge happened")
	}
}

// relose tells the whole history with other losses.
func (h *history) relose(t *testing.T, other func(loss) loss) {
	t.Helper()
	forged := history{keys: h.keys}
	for _, op := range h.losses {
		in := op.Input.(ask)
		in.asked = new(other(*in.asked.(*loss)))
		op.Input = in
		forged.losses = append(forged.losses, op)
	}
	if len(forged.illegal(t)) == 0 {
		t.Error("not found")
	}
}

func forgeTake(change func(*port.TakeReply)) func(ops []porcupine.Operation, i int) bool {
	return func(ops []porcupine.Operation, i int) bool {
		out, ok := ops[i].Output.([]port.TakeReply)
		if ok {
			out = slices.Clone(out)
			change(&out[len(out)-1])
			ops[i].Output = out
		}
		return ok
	}
}

func forgeView(change func(*port.View)) func(ops []porcupine.Operation, i int) bool {
	return func(ops []porcupine.Operation, i int) bool {
		switch out := ops[i].Output.(type) {
		case port.View:
			change(&out)
			ops[i].Output = out
		case port.ProbeReply:
			change(&out.View)
			ops[i].Output = out
		default:
			return false
		}
		return true
	}
}

func forgeProbe(ops []porcupine.Operation, i int) bool {
	out, ok := ops[i].Output.(port.ProbeReply)
	out.Granted = !out.Granted
	ops[i].Output = out
	return ok
}

// grants reports whether an operation took tokens, and the next one, under the
// same limit, found a bucket that was not full.
func grants(ops []porcupine.Operation, i int) bool {
	if i+1 >= len(ops) {
		return false
	}
	in, _ := ops[i].Input.(ask).asked.(takes)
	next, _ := ops[i+1].Input.(ask).asked.(takes)
	out, _ := ops[i].Output.([]port.TakeReply)
	heard, _ := ops[i+1].Output.([]port.TakeReply)
	if len(in) != 1 || len(next) != 1 || in[0].Rule != next[0].Rule || out[0].Foreign || heard[0].Foreign || next[0].Bill != 0 {
		return false
	}
	found := heard[0].Remaining + heard[0].Granted*next[0].Cost
	return in[0].Cost > 0 && in[0].Bill == 0 && out[0].Granted > 0 && found+1 < next[0].Rule.Burst()
}

// forget has the server take tokens for a call that nobody made.
func forget(ops []porcupine.Operation, i int) bool {
	if !grants(ops, i) {
		return false
	}
	in := ops[i].Input.(ask)
	peek := in.asked.(takes)[0]
	peek.Cost, peek.Count, peek.Turn = 0, 1, false
	in.asked = takes{peek}
	out := ops[i].Output.([]port.TakeReply)[0]
	ops[i].Input, ops[i].Output = in, []port.TakeReply{{Granted: 1, Remaining: out.Remaining, RetryAfter: out.RetryAfter, Foreign: out.Foreign}}
	return true
}

// swap has the operation i keep its times and be decided at the time of j, which
// did not overlap.
func swap(ops []porcupine.Operation, i, j int) bool {
	if max(i, j) >= len(ops) || ops[min(i, j)].Return >= ops[max(i, j)].Call {
		return false
	}
	ops[i].Call, ops[j].Call = ops[j].Call, ops[i].Call
	ops[i].Return, ops[j].Return = ops[j].Return, ops[i].Return
	return true
}
