package redisstore

import (
	"fmt"
	"runtime"
	"strings"
)

// schema is the version of the replies that this package reads.
const schema = 1

// The states of an answer, as scripts give them.
const (
	answerDecided = iota
	answerUnreadable
	answerNewer
	answerStale
	answerAhead
)

// guarded is f, which lets the client read replies. go-redis makes room for as
// many items as a reply says that it has, and so panics where that is no size
// that can be.
func guarded(f func() error) (err error) {
	defer func() {
		switch said := recover().(type) {
		case nil:
		case runtime.Error:
			if !strings.Contains(said.Error(), "makeslice") {
				panic(said)
			}
			err = fmt.Errorf("%w: %w", ErrReply, said)
		default:
			panic(said)
		}
	}()
	return f()
}

// exact is the largest number that scripts reckon with: 2^53, where a Lua number
// ends to be exact. In µs it is also what a time.Duration can hold.
const exact = 1 << 53

// within reports whether n is from 0 to high.
func within(n, high int64) bool { return n >= 0 && n <= high }

// numbers reads a script's reply: integers, the first one the schema, the second
// the server's time.
func (c *call) numbers() ([]int64, error) {
	n, err := c.cmd.Result()
	if err != nil {
		if strings.Contains(err.Error(), "can't parse") { // go-redis has no type for it
			err = fmt.Errorf("%w: %w", ErrReply, err)
		}
		return nil, err
	}
	if len(n) < 3 || n[0] != schema || n[1] <= 0 || n[1] > exact {
		return nil, fmt.Errorf("%w: of %d items", ErrReply, len(n))
	}
	return n, nil
}
