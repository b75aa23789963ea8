package redisserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

var errDown = errors.New("redisserver: the server is down")

// A process is one run of the server program.
type process struct {
	handle *os.Process
	exited chan struct{} // closed when the process has been waited for
	output bytes.Buffer  // to be read after exited only
}

// startProcess starts the program. ctx bounds the start only.
func startProcess(ctx context.Context, path string, args []string) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &process{exited: make(chan struct{})}
	// The life of the server is not that of the context that bounds its start.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, args...) //nolint:gosec // running the program it is given is its task
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.SysProcAttr = dieWithParent()

	started := make(chan error, 1)
	go func() {
		defer close(p.exited)
		// Linux ties the life of the child to the thread that started it, not to
		// the process (go.dev/issue/27505), so this goroutine keeps the thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()

		err := cmd.Start()
		p.handle = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed as a rule; who waits for more reads exited and output
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("redisserver: start: %w", err)
	}
	return p, nil
}

// kill ends the process at once, paused or not, and waits until it is gone.
func (p *process) kill() {
	_ = p.handle.Kill() // fails only if it is gone already
	<-p.exited
}

// exitError says what the process wrote before it ended by itself.
func (p *process) exitError() error {
	return fmt.Errorf("redisserver: the server ended at its start: %s", bytes.TrimSpace(p.output.Bytes()))
}
