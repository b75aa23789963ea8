package main

import (
	"context"
	"errors"
	"time"
)

// A fault breaks a stage for a while, and mends it.
type fault func(ctx context.Context, s *stage, hold time.Duration) error

// faults are those of one cycle, in order.
func faults() []fault {
	return []fault{
		onTheWay(`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`),
		hang,
		onTheWay(`{"type":"latency","stream":"downstream","attributes":{"latency":150,"jitter":100}}`),
		killed,
		onTheWay(`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`), // replies are lost
		scriptsFlushed,
	}
}

func onTheWay(toxic string) fault {
	return func(ctx context.Context, s *stage, hold time.Duration) error {
		if err := s.poison(toxic); err != nil {
			return err
		}
		defer s.heal(context.WithoutCancel(ctx))
		return sleep(ctx, hold)
	}
}

func hang(ctx context.Context, s *stage, hold time.Duration) error {
	if err := s.server.Pause(); err != nil {
		return err
	}
	return errors.Join(sleep(ctx, hold), s.server.Resume())
}

func killed(ctx context.Context, s *stage, hold time.Duration) error {
	s.server.Kill()
	return errors.Join(sleep(ctx, hold), s.server.Restart(ctx))
}

// scriptsFlushed lets the server forget its scripts between any two calls.
func scriptsFlushed(ctx context.Context, s *stage, hold time.Duration) error {
	for begin := now(); since(begin) < hold; {
		if err := s.admin.ScriptFlush(ctx).Err(); err != nil {
			return err
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
