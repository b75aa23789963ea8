//go:build unix

package redisserver

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

const pauseTimeout = 5 * time.Second

// pause stops the process and waits until it has stopped: the signal is only on
// its way when the system call returns, and a reply may still come before it.
func (p *process) pause() error {
	if err := p.handle.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("redisserver: pause: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), pauseTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !stopped(p.handle.Pid) {
		select {
		case <-p.exited:
			return errDown
		case <-ctx.Done():
			return errors.New("redisserver: pause: the server does not stop")
		case <-ticker.C:
		}
	}
	return nil
}

// resume lets the process go on.
func (p *process) resume() error {
	if err := p.handle.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("redisserver: resume: %w", err)
	}
	return nil
}
