package redisstore

import "fmt"

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
	if err := c.cmd.Err(); err != nil {
		return nil, err
	}
	items, err := c.cmd.Slice()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReply, err)
	}
	n := make([]int64, len(items))
	for i, item := range items {
		x, ok := item.(int64)
		if !ok {
			return nil, fmt.Errorf("%w: item %d is %T", ErrReply, i, item)
		}
		n[i] = x
	}
	if len(n) < 3 || n[0] != schema || n[1] <= 0 {
		return nil, fmt.Errorf("%w: of %d items", ErrReply, len(n))
	}
	return n, nil
}
