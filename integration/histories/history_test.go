package histories

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A history is what happened to all keys, and to each.
type history struct {
	keys   map[string][]porcupine.Operation // a call that asks two buckets is an operation of each
	losses []porcupine.Operation            // of servers: they happen to each key

	calls     int // that are operations
	unknown   int // of these, whose callers were not answered
	never     int // calls that were not answered, nor executed
	surprises []string
}

// drift is by how much the server's clock may run unlike the machine's while a
// call lasts.
const drift = time.Millisecond

// add puts in the calls of one process, whose way noted when the server executed
// what.
func (h *history) add(client int, calls []call, executed map[uint64][]int64) {
	times := unclaimed(calls, executed)
	var heard time.Duration // what a call took by which the process heard the server's clock
	for _, c := range calls {
		heard = c.heard(heard)
		switch {
		case c.asked.isWarm():
		case c.known():
			h.calls++
			h.put(client, c, c.got.AtMicro, c.got.Return)
		default:
			h.addUnknown(client, c, times.of(c), heard+drift)
		}
	}
}

// addUnknown puts in a call that was not answered, and executed at these times.
// When a request is too late is reckoned from an earlier reply, and errs by less
// than what that took.
func (h *history) addUnknown(client int, c call, at []int64, late time.Duration) {
	if len(at) == 0 { // the server never had it, or had not executed it when it was lost
		h.never++
		return
	}
	h.calls++
	h.unknown++
	if len(at) > 1 {
		h.surprises = append(h.surprises, fmt.Sprintf("a call was executed %d times: %+v", len(at), c.asked))
	}
	if over := micros(at[0]-c.asked.DueMicro) - late; over > 0 {
		h.surprises = append(h.surprises, fmt.Sprintf("a call was executed %v after its caller had given up: %+v", over, c.asked))
	}
	h.put(client, c, at[0], c.asked.Due+int64(late))
}

// put makes c an operation of each key that it asks.
func (h *history) put(client int, c call, atMicro, returned int64) {
	if h.keys == nil {
		h.keys = make(map[string][]porcupine.Operation)
	}
	add := func(key string, asked, answered any) {
		h.keys[key] = append(h.keys[key], porcupine.Operation{
			ClientId: client, Call: c.asked.Call, Return: max(returned, c.asked.Call),
			Input: ask{atMicro: atMicro, asked: asked, unknown: !c.known()}, Output: answered,
		})
	}
	switch {
	case c.asked.Report != nil:
		var out any
		if c.known() {
			out = *c.got.View
		}
		add("breaker "+c.asked.Report.Breaker.Name, *c.asked.Report, out)
	case c.asked.Probe != nil:
		var out any
		if c.known() {
			out = *c.got.Probed
		}
		add("breaker "+c.asked.Probe.Breaker.Name, *c.asked.Probe, out)
	default:
		for in, i := c.asked.Takes, 0; len(in) > 0; {
			n := together(in)
			var out []port.TakeReply
			if c.known() {
				out = c.got.Taken[i : i+n]
			}
			add("bucket "+in[0].Bucket.Name, takes(in[:n]), out)
			in, i = in[n:], i+n
		}
	}
}

// together is how many of the first requests ask the same bucket.
func together(in []port.TakeRequest) int {
	n := 1
	for n < len(in) && in[n].Bucket == in[0].Bucket && in[n].Rule == in[0].Rule {
		n++
	}
	return n
}

// lost puts in that a server was lost, between two times of the monotonic clock.
func (h *history) lost(atMicro, from, to int64, l loss) {
	h.losses = append(h.losses, porcupine.Operation{ClientId: workers, Call: from, Return: to, Input: ask{atMicro: atMicro, asked: &l}})
}

// of returns the model and the operations of a key.
func (h *history) of(key string) (model, []porcupine.Operation) {
	m := model{none: bucketEntity{}}
	if strings.HasPrefix(key, "breaker") {
		m.none = breakerEntity{&breaker.Fleet{}}
	}
	ops := slices.Clone(h.keys[key])
	first, last := ops[0].Call, ops[0].Return
	for _, op := range ops {
		first, last = min(first, op.Call), max(last, op.Return)
	}
	for _, op := range h.losses { // one before all calls or after them says nothing
		if op.Return >= first && op.Call <= last {
			m.losses = append(m.losses, op.Input.(ask))
			ops = append(ops, op)
		}
	}
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int {
		return cmp.Compare(a.Input.(ask).atMicro, b.Input.(ask).atMicro)
	})
	for i, before := 0, 0; i < len(ops); i++ {
		in := ops[i].Input.(ask)
		if i > 0 && in.atMicro > ops[i-1].Input.(ask).atMicro {
			before = i
		}
		in.before = before
		ops[i].Input = in
	}
	return m, ops
}

// A tally is when the server executed calls that were not answered, by
// connection.
type tally map[uint64][]int64

// unclaimed are the executions that no caller was told of.
func unclaimed(calls []call, executed map[uint64][]int64) tally {
	told := make(map[int64]bool)
	for _, c := range calls {
		if c.known() {
			told[c.got.AtMicro] = true
		}
	}
	left := make(tally)
	for conn, times := range executed {
		for _, at := range times {
			if !told[at] {
				left[conn] = append(left[conn], at)
			}
		}
	}
	return left
}

// of is when the server executed c, whose caller was not told. A connection is
// not used again after that, so c was the last on it.
func (t tally) of(c call) (times []int64) {
	for _, conn := range slices.Compact(slices.Clone(c.conns)) {
		times = append(times, t[conn]...)
	}
	return times
}
