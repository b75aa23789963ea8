package redsynclock

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	_ "embed"     // of the script
	"encoding/hex"
	"errors"
	"sync"
	"time"

	syncredis "github.com/go-redsync/redsync/v4/redis"
)

//go:embed fence.lua
var fenceText string

// tokensLast is how long the last token is kept. After that the server's time is above it.
const tokensLast = 24 * time.Hour

// exact is the largest number that scripts reckon with.
const exact = 1 << 53

var errReply = errors.New("unexpected reply")

func fenceScript() *syncredis.Script {
	sum := sha1.Sum([]byte(fenceText)) //nolint:gosec // Redis names scripts by it
	return syncredis.NewScript(2, fenceText, hex.EncodeToString(sum[:]))
}

// next is a new token for a lock that is held; 0 when it is not any more. Of several
// servers the highest one counts, and is told to all: who holds the lock next has asked
// one of those that know it.
func (l *Locks) next(ctx context.Context, k *lock, patience time.Duration) (uint64, error) {
	token, same, err := l.tokens(ctx, k, 0, patience)
	if err != nil || token == 0 || same {
		return token, err
	}
	told, _, err := l.tokens(ctx, k, token, patience)
	if told == 0 {
		token = 0
	}
	return token, err
}

// tokens asks every server. It returns the highest token, whether all gave that one, and
// 0 when too few find that the lock is held.
func (l *Locks) tokens(ctx context.Context, k *lock, given uint64, patience time.Duration) (highest uint64, same bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tokens, errs := make([]uint64, len(l.pools)), make([]error, len(l.pools))
	var all sync.WaitGroup
	for i, p := range l.pools {
		all.Go(func() { tokens[i], errs[i] = l.askToken(ctx, p, k, given) })
	}
	all.Wait()
	gave, quorum := 0, len(l.pools)/2+1
	same = true
	for _, token := range tokens {
		if token > 0 {
			gave++
		}
		same = same && token == tokens[0]
		highest = max(highest, token)
	}
	if gave >= quorum {
		return highest, same, nil
	}
	return 0, false, errors.Join(errs...)
}

// askToken asks one server.
func (l *Locks) askToken(ctx context.Context, p syncredis.Pool, k *lock, given uint64) (uint64, error) {
	c, err := p.Get(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	reply, err := c.Eval(l.fence, l.key(k.id), l.fenceKey(k.id), k.word, given, tokensLast.Milliseconds())
	if err != nil {
		return 0, err
	}
	items, ok := reply.([]any)
	if !ok || len(items) != 3 || items[0] != int64(1) {
		return 0, errReply
	}
	token, ok := items[2].(int64)
	if !ok || token < 0 || token > exact {
		return 0, errReply
	}
	return uint64(token), nil
}
