package redisstore

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// viewSource implements port.ViewSource.
type viewSource struct{ *Store }

// The fields of a breaker that a view is made of.
var viewFields = []string{"p", "e", "s", "t", "l", "y", "b", "q", "o", "ob", "or"} //nolint:gochecknoglobals // a constant list

// Read reads views by plain commands, in one pipeline: they cost the server a
// fraction of a script, and a read replica may answer them.
func (s viewSource) Read(ctx context.Context, in []port.ID, out []port.View) {
	err := s.broken
	if err == nil {
		var views []port.View
		in = slices.Clone(in) // the call may be left behind
		err = s.link.do(ctx, func(ctx context.Context, to sender) (err error) {
			views, err = s.read(ctx, to, in)
			return err
		})
		if err == nil {
			copy(out, views)
			return
		}
		err = wrong("breaker read", "", s.link.explained(ctx, timely(ctx, err)))
	}
	for i := range out {
		out[i] = port.View{Err: err}
	}
}

func (s viewSource) read(ctx context.Context, to sender, in []port.ID) ([]port.View, error) {
	pipe := to.Pipeline()
	clock := pipe.Time(ctx)
	rows := make([]*redis.SliceCmd, len(in))
	for i, id := range in {
		rows[i] = pipe.HMGet(ctx, s.key(kindBreaker, id), viewFields...)
	}
	err := guarded(func() error { _, err := pipe.Exec(ctx); return err }) // the first one of the commands'
	if missed(err, clock) {
		return nil, err
	}
	if err = clock.Err(); err != nil {
		return nil, err
	}
	nowMicro := clock.Val().UnixMicro()
	if s.now != nil {
		nowMicro = s.nowArg()
	}
	views := make([]port.View, len(in))
	for i, row := range rows {
		views[i], err = readView(nowMicro, row)
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			err = s.troubleOf(answerUnreadable, s.key(kindBreaker, in[i]))
		}
		switch {
		case errors.Is(err, ErrUnreadable) || errors.Is(err, ErrNewer):
			views[i].Err = wrong("breaker read", in[i].Name, err)
		case err != nil:
			return nil, err
		}
	}
	return views, nil
}

// readView makes a view of the fields as they stand. What cannot be read is as
// good as not there: the next report finds out, and heals it.
func readView(nowMicro int64, row *redis.SliceCmd) (port.View, error) {
	fields, err := row.Result()
	if err != nil {
		return port.View{}, err
	}
	if len(fields) != len(viewFields) {
		return port.View{}, ErrReply
	}
	v, err := readState(nowMicro, fields)
	if err == nil {
		v.Order = readOrder(nowMicro, fields[8], fields[9], fields[10])
	}
	return v, err
}

// readState makes a view of the fields p to q.
func readState(nowMicro int64, fields []any) (port.View, error) {
	var n [7]int64
	claim, _ := fields[0].(string)
	leases, _ := fields[len(n)].(string)
	for i := range n {
		text, _ := fields[i].(string)
		if i == 0 {
			text, _, _ = strings.Cut(text, ":") // of the claim, the schema
		}
		x, ok := parse(text)
		if !ok {
			return port.View{}, nil
		}
		n[i] = x
		if i == 0 && n[i] > schema {
			return port.View{}, ErrNewer
		}
	}
	rest := n[4] - max(nowMicro-n[3], 0)
	if n[2] == int64(domain.StateHalfOpen) {
		rest = leaseFree(nowMicro, claim, leases)
	}
	return makeView(n[1], n[2], rest, n[5], n[6]), nil
}

// leaseFree is how long it takes at most until a probe lease is free, in µs, of
// the fields p and q. What cannot be read is free: who asks finds out.
func leaseFree(nowMicro int64, claim, leases string) int64 {
	const probesAt = 7 // "<schema>:<version>:<min replicas>: …", as breaker.Rules.Numbers
	numbers := strings.Split(claim, ":")
	if len(numbers) <= probesAt {
		return 0
	}
	probes, _ := strconv.Atoi(numbers[probesAt])
	out := strings.Split(strings.TrimSuffix(leases, ";"), ";")
	if leases == "" || len(out) < probes {
		return 0
	}
	first := int64(math.MaxInt64)
	for _, lease := range out { // "<token>:<at>:<for>:<replica>"
		parts := strings.Split(lease, ":")
		if len(parts) < 4 {
			return 0
		}
		at, _ := parse(parts[1])
		lasts, _ := parse(parts[2])
		first = min(first, max(lasts-max(nowMicro-at, 0), 0))
	}
	return first
}

// makeView makes a view of its numbers; rest is how long an open breaker stays so,
// until a half-open one may have a free lease, or how long the ramp of a closed one
// lasts, in µs.
func makeView(epoch, state, rest, fresh, base int64) port.View {
	if state < 0 || state > int64(domain.StateOpen) || epoch <= 0 {
		return port.View{}
	}
	v := port.View{Epoch: uint64(epoch), State: domain.State(state), Fresh: fresh != 0}
	switch {
	case v.State != domain.StateClosed:
		v.For = micros(max(rest, 0))
	case base > 0 && rest > 0:
		v.For, v.Base = micros(rest), base
	}
	return v
}

// Watch subscribes to the fleet's transitions until ctx ends or the connection
// breaks. One pattern serves all breakers: it is the fleet's whole namespace,
// so that a permission for it can be given in one word.
func (s viewSource) Watch(ctx context.Context, onView func(port.ID, port.View)) error {
	if s.broken != nil {
		return s.broken
	}
	sub := s.link.client.PSubscribe(ctx, s.fleet+":*")
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() }) // it blocks in a read otherwise
	defer func() {
		stop()
		_ = sub.Close()
	}()
	for pinged := false; ; {
		m, err := s.receive(ctx, sub)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && (pinged || !timedOut(err) || sub.Ping(ctx) != nil):
			return wrong("breaker watch", "", err)
		}
		pinged = err != nil
		if message, ok := m.(*redis.Message); ok {
			s.pushed(message, onView)
		}
	}
}

// receive returns what comes next, or an error when nothing does.
func (s viewSource) receive(ctx context.Context, sub *redis.PubSub) (m any, err error) {
	err = guarded(func() error {
		m, err = sub.ReceiveTimeout(ctx, s.silence)
		return err
	})
	return m, err
}

// pushed tells a transition. What cannot be read is left to the next read.
func (s viewSource) pushed(m *redis.Message, onView func(port.ID, port.View)) {
	id, ok := s.breakerID(m.Channel)
	if !ok {
		return
	}
	if v, err := readPush(m.Payload); err == nil {
		onView(id, v)
	}
}

// readPush reads "1 <epoch> <state> <for µs> <fresh> <serial of an operator's order>
// <calls a second of the ramp>". Of an order alone epoch to fresh are 0.
func readPush(payload string) (port.View, error) {
	words := strings.Fields(payload)
	if len(words) != 7 || words[0] != "1" {
		return port.View{}, ErrReply
	}
	var n [6]int64
	for i, word := range words[1:] {
		x, ok := parse(word)
		if !ok {
			return port.View{}, ErrReply
		}
		n[i] = x
	}
	v := makeView(n[0], n[1], n[2], n[3], n[5])
	v.Order.Serial = uint64(n[4])
	return v, nil
}

// parse reads a number as scripts write it.
func parse(text string) (n int64, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !within(n, exact) {
		return 0, false
	}
	return n, true
}
