package redisstore

import (
	"fmt"
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
	if len(n) < 3 || n[0] != schema || n[1] <= 0 {
		return nil, fmt.Errorf("%w: of %d items", ErrReply, len(n))
	}
	return n, nil
}
