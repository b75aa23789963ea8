package before

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var ErrNotFound = errors.New("not found")

func Load(ctx context.Context, load func(context.Context) error) error {
	pause := 100 * time.Millisecond
	var err error
	for range 4 {
		if err = load(ctx); err == nil || errors.Is(err, ErrNotFound) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
	return fmt.Errorf("gave up: %w", err)
}
