package redisstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// operatorStore implements port.OperatorStore.
type operatorStore struct{ *Store }

// Order gives orders, in one pipeline; those that were too late once more.
func (s operatorStore) Order(ctx context.Context, in []port.Order, out []port.OrderReply) {
	if s.broken != nil {
		for i := range out {
			out[i] = port.OrderReply{Err: s.broken}
		}
		return
	}
	twice(ctx, len(in), func(which []int) (late []int) { return s.attempt(ctx, which, in, out) })
}

// attempt gives the orders of those numbers once, and returns which were too late.
func (s operatorStore) attempt(ctx context.Context, which []int, in []port.Order, out []port.OrderReply) (late []int) {
	notAfter, calls := s.clock.notAfter(ctx), make([]call, len(which))
	for n, i := range which {
		key, o := s.key(kindBreaker, in[i].Breaker), in[i].Order
		calls[n] = newCall(s.order, 2, 9)
		calls[n].words = append(calls[n].words, key, records(key), s.nowArg(), notAfter, bit(s.heals.take(key)),
			o.Serial, uint8(o.Force), bit(o.Reset), o.ForMicro, o.By, o.Reason)
	}
	sent := now()
	err := s.link.run(ctx, calls)
	for n, i := range which {
		serial, callErr := uint64(0), err
		if callErr == nil {
			serial, callErr = s.readOrderReply(&calls[n], s.key(kindBreaker, in[i].Breaker), sent)
		}
		if callErr == ErrStale { //nolint:errorlint // as readOrderReply returns it
			late = append(late, i)
		}
		if out[i] = (port.OrderReply{Serial: serial}); callErr != nil {
			out[i].Err = failedStep(s.order.op, in[i].Breaker.Name, callErr, s.link.explained(ctx, timely(ctx, callErr)))
		}
	}
	return late
}

// readOrderReply reads the serial of the order that stands.
func (s operatorStore) readOrderReply(c *call, key string, sent time.Time) (uint64, error) {
	n, err := c.numbers()
	if err != nil {
		return 0, err
	}
	s.clock.hear(n[1], sent)
	if err := s.troubleOf(n[2], key); err != nil {
		return 0, err
	}
	if len(n) != 4 || !within(n[3], exact) || n[3] == 0 {
		return 0, ErrReply
	}
	return uint64(n[3]), nil
}

// Explain reads the whole hash of a breaker.
func (s operatorStore) Explain(ctx context.Context, id port.ID) (breaker.Snapshot, error) {
	if s.broken != nil {
		return breaker.Snapshot{}, s.broken
	}
	type read struct {
		nowMicro int64
		fields   map[string]string
	}
	got, err := ask(ctx, s.Store, func(ctx context.Context, to sender) (read, error) {
		pipe := to.Pipeline()
		clock, all := pipe.Time(ctx), pipe.HGetAll(ctx, s.key(kindBreaker, id))
		if _, err := pipe.Exec(ctx); err != nil {
			return read{}, err
		}
		return read{clock.Val().UnixMicro(), all.Val()}, nil
	})
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		err = ErrUnreadable
	}
	if err != nil {
		return breaker.Snapshot{}, wrong("breaker explain", id.Name, err)
	}
	if s.now != nil {
		got.nowMicro = s.nowArg()
	}
	snapshot, err := readSnapshot(got.nowMicro, got.fields)
	if err != nil {
		return breaker.Snapshot{}, wrong("breaker explain", id.Name, err)
	}
	return snapshot, nil
}

// Records reads the stream of a breaker.
func (s operatorStore) Records(ctx context.Context, id port.ID) ([]breaker.Record, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	entries, err := ask(ctx, s.Store, func(ctx context.Context, to sender) ([]redis.XMessage, error) {
		c := redis.NewXMessageSliceCmd(ctx, "xrevrange", records(s.key(kindBreaker, id)), "+", "-", "count", breaker.RecordsKept)
		err := to.Process(ctx, c)
		return c.Val(), err
	})
	if err != nil {
		return nil, wrong("breaker records", id.Name, err)
	}
	all := make([]breaker.Record, 0, len(entries))
	for _, e := range entries {
		if r, ok := readRecord(e.Values); ok {
			all = append(all, r)
		}
	}
	return all, nil
}

// scanCount is about how many keys one call looks at.
const scanCount = 1000

// Breakers looks through the keys of every node, which takes long on a large one,
// and holds none up: each call is short.
func (s operatorStore) Breakers(ctx context.Context) ([]port.ID, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	ids, err := ask(ctx, s.Store, func(ctx context.Context, to sender) ([]port.ID, error) {
		var one sync.Mutex // nodes of a cluster are asked side by side
		var ids []port.ID
		err := eachNode(ctx, to, func(ctx context.Context, node *redis.Client) error {
			one.Lock()
			defer one.Unlock()
			keys := node.Scan(ctx, 0, s.fleet+":{"+string(kindBreaker)+"*}", scanCount).Iterator()
			for keys.Next(ctx) {
				if id, ok := s.breakerID(keys.Val()); ok {
					ids = append(ids, id)
				}
			}
			return keys.Err()
		})
		return ids, err
	})
	if err != nil {
		return nil, wrong("breakers", "", err)
	}
	slices.SortFunc(ids, port.ID.Compare)
	return slices.Compact(ids), nil // a scan may give a key twice
}

// eachNode calls f with each node that has keys of its own.
func eachNode(ctx context.Context, to sender, f func(context.Context, *redis.Client) error) error {
	switch c := to.(type) {
	case *redis.Client:
		return f(ctx, c)
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, f)
	case *redis.Ring:
		return c.ForEachShard(ctx, f)
	default:
		return errors.ErrUnsupported
	}
}

// ask makes one reading call within ctx.
func ask[T any](ctx context.Context, s *Store, f func(context.Context, sender) (T, error)) (T, error) {
	var answer T // which a call that is left behind may still write to
	err := s.link.do(ctx, func(ctx context.Context, to sender) error {
		return guarded(func() (err error) {
			answer, err = f(ctx, to)
			return err
		})
	})
	if err != nil {
		var none T
		return none, s.link.explained(ctx, timely(ctx, err))
	}
	return answer, nil
}

// failedStep is the error of a script's call; one that only this caller's word made
// says so.
func failedStep(op, name string, cause, err error) error {
	failed := wrong(op, name, err)
	if said, ok := failed.(*domain.StoreError); ok && cause == port.ErrAhead { //nolint:errorlint // as made above
		said.Entity = true
	}
	return failed
}
