//go:build !unix

package redisserver

import (
	"errors"
	"fmt"
)

func (*process) pause() error {
	return fmt.Errorf("redisserver: pause: %w", errors.ErrUnsupported)
}

func (*process) resume() error {
	return fmt.Errorf("redisserver: resume: %w", errors.ErrUnsupported)
}
