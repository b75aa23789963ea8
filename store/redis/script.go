package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"slices"

	"github.com/redis/go-redis/v9"
)

// A script is one Lua text and the name that Redis gives it.
type script struct {
	op   string // in errors
	text string
	sha  any // a string, as arguments of a command are passed
}

func newScript(op, text string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // Redis names scripts by it
	return &script{op, text, hex.EncodeToString(sum[:])}
}

// A call is one execution of a script, and its reply.
type call struct {
	script *script
	words  []any // the whole command: verb, script, how many keys and which, arguments
	cmd    once
}

// newCall begins a call; the caller appends the keys and the arguments.
func newCall(s *script, keys, arguments int) call {
	c := call{script: s, words: make([]any, 0, 3+keys+arguments)}
	c.words = append(c.words, "evalsha", s.sha, keys)
	return c
}

// once is a command that go-redis must not send again when its reply is lost:
// it may have been executed. All that scripts reply is integers.
type once struct{ *redis.IntSliceCmd }

// NoRetry tells go-redis.
func (once) NoRetry() bool { return true }

// withText makes the command carry the script itself.
func (c *call) withText() { c.words[0], c.words[1] = "eval", c.script.text }

func (c *call) prepare(ctx context.Context) { c.cmd = once{redis.NewIntSliceCmd(ctx, c.words...)} }

// run executes calls, in one pipeline, at most once each. The reply or error of
// each call is in its cmd; run returns an error when they may still be under way.
func (l *link) run(ctx context.Context, calls []call) error {
	if to := l.direct(ctx); to != nil {
		execute(ctx, to, calls)
		l.topology.hear(ctx, firstError(calls))
		return nil
	}
	left := slices.Clone(calls)
	err := l.strand(ctx, func(ctx context.Context, to sender) error {
		execute(ctx, to, left)
		return nil
	})
	if err != nil {
		l.topology.hear(ctx, err)
		return err
	}
	copy(calls, left)
	l.topology.hear(ctx, firstError(calls))
	return nil
}

// firstError is that of the first call that was not answered well.
func firstError(calls []call) error {
	for i := range calls {
		if err := calls[i].cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// execute sends calls. A script that the server does not know was not executed,
// so it is sent again with its text.
func execute(ctx context.Context, to sender, calls []call) {
	for i := range calls {
		calls[i].prepare(ctx)
	}
	send(ctx, to, calls, nil)
	var unknown []int
	for i := range calls {
		if err := calls[i].cmd.Err(); err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			calls[i].withText()
			calls[i].prepare(ctx)
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > 0 {
		send(ctx, to, calls, unknown)
	}
}

// send sends the calls of the given numbers, or all of them for nil. Each
// command has its own error afterwards.
func send(ctx context.Context, to sender, calls []call, which []int) {
	if len(calls) == 1 {
		cmd := calls[0].cmd
		if err := guarded(func() error { return to.Process(ctx, cmd) }); err != nil {
			cmd.SetErr(err) // where it is, unless the client could not read the reply
		}
		return
	}
	pipe := to.Pipeline()
	if which == nil {
		for i := range calls {
			_ = pipe.Process(ctx, calls[i].cmd) // queues, and cannot fail
		}
	}
	for _, i := range which {
		_ = pipe.Process(ctx, calls[i].cmd)
	}
	err := guarded(func() error { _, err := pipe.Exec(ctx); return err })
	for i := range calls {
		if missed(err, calls[i].cmd) {
			calls[i].cmd.SetErr(err)
		}
	}
}

// missed reports whether a pipeline failed with err and cmd does not know: when
// a server refuses the connection itself, as with a wrong password, go-redis
// leaves the commands without an error and without a reply.
func missed(err error, cmd redis.Cmder) bool {
	if err == nil || cmd.Err() != nil {
		return false
	}
	switch c := cmd.(type) {
	case once:
		return c.Val() == nil
	case *redis.TimeCmd:
		return c.Val().IsZero()
	default:
		return false
	}
}
