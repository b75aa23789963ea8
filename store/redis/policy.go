package redisstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// policyStore implements port.PolicyStore.
type policyStore struct{ *Store }

// answerOther is the state of an answer that another document is in force.
const answerOther = 5

// Publish puts a document in force.
func (s policyStore) Publish(ctx context.Context, p port.Publication, after uint64) (version uint64, ok bool, err error) {
	if s.broken != nil {
		return 0, false, s.broken
	}
	twice(ctx, 1, func([]int) (late []int) {
		if version, ok, err = s.attempt(ctx, p, after); errors.Is(err, ErrStale) {
			late = []int{0}
		}
		return late
	})
	return version, ok, err
}

func (s policyStore) attempt(ctx context.Context, p port.Publication, after uint64) (version uint64, ok bool, err error) {
	key := s.key(kindPolicies, port.ID{})
	c := newCall(s.publish, 1, 8)
	c.words = append(c.words, key, s.nowArg(), s.clock.notAfter(ctx), p.Version, after, p.Document, p.By, p.Reason, bit(p.Shadow))
	sent, calls := now(), []call{c}
	if err = s.link.run(ctx, calls); err == nil {
		version, ok, err = s.readPublished(&calls[0], sent)
	}
	if err != nil {
		return 0, false, failedStep(s.publish.op, "", err, s.link.explained(ctx, timely(ctx, err)))
	}
	return version, ok, nil
}

// readPublished reads the version in force, and whether it is the one that was published.
func (s policyStore) readPublished(c *call, sent time.Time) (version uint64, ok bool, err error) {
	n, err := c.numbers()
	if err != nil {
		return 0, false, err
	}
	if len(n) != 4 || !within(n[3], exact) {
		return 0, false, ErrReply
	}
	s.clock.hear(n[1], sent)
	switch n[2] {
	case answerOther:
		return uint64(n[3]), false, nil
	case answerUnreadable:
		return 0, false, ErrUnreadable // which nobody heals by himself: it is one key, and an operator's
	default:
		return uint64(n[3]), true, s.troubleOf(n[2], "")
	}
}

// Published reads the last entry of the stream, if it is not the one that is known.
func (s policyStore) Published(ctx context.Context, known uint64) (port.Publication, error) {
	entries, length, err := s.entries(ctx, 1, known)
	switch {
	case err != nil:
		return port.Publication{}, err
	case len(entries) > 0:
		return entries[0], nil
	case length > 0:
		return port.Publication{Version: known}, nil
	default:
		return port.Publication{}, nil
	}
}

// Publications reads all of it.
func (s policyStore) Publications(ctx context.Context) ([]port.Publication, error) {
	all, _, err := s.entries(ctx, port.PublicationsKept, 0)
	return all, err
}

// entries reads the newest entries above a version, so many at most, and how many there are
// in all.
func (s policyStore) entries(ctx context.Context, most int64, above uint64) ([]port.Publication, int64, error) {
	if s.broken != nil {
		return nil, 0, s.broken
	}
	type read struct {
		messages []redis.XMessage
		length   int64
	}
	got, err := ask(ctx, s.Store, func(ctx context.Context, to sender) (read, error) {
		key, from := s.key(kindPolicies, port.ID{}), strconv.FormatUint(above, 10)+"-1"
		pipe := to.Pipeline()
		newest, length := pipe.XRevRangeN(ctx, key, "+", from, most), pipe.XLen(ctx, key)
		_, err := pipe.Exec(ctx)
		return read{newest.Val(), length.Val()}, err
	})
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		err = ErrUnreadable
	}
	if err != nil {
		return nil, 0, wrong("policy read", "", err)
	}
	all := make([]port.Publication, len(got.messages))
	for i, m := range got.messages {
		if all[i], err = readPublication(m); err != nil {
			return nil, 0, wrong("policy read", "", err)
		}
	}
	return all, got.length, nil
}

func readPublication(m redis.XMessage) (port.Publication, error) {
	first, _, _ := strings.Cut(m.ID, "-")
	version, err := strconv.ParseUint(first, 10, 64)
	document, is := m.Values["d"].(string)
	if err != nil || !is || version == 0 || version > domain.MaxVersion {
		return port.Publication{}, ErrUnreadable
	}
	by, _ := m.Values["b"].(string)
	reason, _ := m.Values["r"].(string)
	return port.Publication{Version: version, Document: document, Shadow: m.Values["s"] == "1", By: by, Reason: reason}, nil
}
