package redisstore

import (
	"context"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
)

// memberStore implements port.MemberStore and port.Sharder.
type memberStore struct{ *Store }

// Shard returns the part of a cluster that the members live on.
func (s memberStore) Shard(id port.ID) uint32 { return s.shard(kindMembers, id) }

// Beat keeps replica a member.
func (s memberStore) Beat(ctx context.Context, replica string, lasting time.Duration) (int, error) {
	if s.broken != nil {
		return 0, s.broken
	}
	sent := now()
	c := newCall(s.beat, 1, 3)
	c.words = append(c.words, s.key(kindMembers, port.ID{}), s.nowArg(), replica, lasting.Microseconds())
	calls := []call{c}
	err := s.link.run(ctx, calls)
	var n []int64
	if err == nil {
		n, err = calls[0].numbers()
	}
	if err == nil && (len(n) != 3 || !within(n[2], math.MaxInt32)) {
		err = ErrReply
	}
	if err != nil {
		return 0, wrong(s.beat.op, "", s.link.explained(ctx, timely(ctx, err)))
	}
	s.clock.hear(n[1], sent)
	return int(n[2]), nil
}
