package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// A process is a program that this one runs, with pipes to talk through.
type process struct {
	in     io.WriteCloser // what it reads
	out    io.ReadCloser  // what it writes
	handle *os.Process
	exited chan struct{} // closed when it was waited for
	errors tail          // the end of what it wrote to stderr
}

// startProcess starts path with one argument. It must be killed, or have ended,
// and then be released.
func startProcess(ctx context.Context, path, argument string) (*process, error) {
	p := &process{exited: make(chan struct{})}
	// The end of ctx is not its end: that is the owner's task. What must not be
	// is that it outlives this program; for that are dieWithParent and its input.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, argument) //nolint:gosec // it is this program itself
	cmd.SysProcAttr = dieWithParent()
	cmd.Stderr = &p.errors
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		closeAll(childIn, in)
		return nil, err
	}
	p.in, p.out = in, out
	cmd.Stdin, cmd.Stdout = childIn, childOut
	started := make(chan error, 1)
	go func() {
		defer close(p.exited)
		// Linux ties the child's life to the thread that started it, not to the
		// process (go.dev/issue/27505), so this goroutine keeps the thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		closeAll(childIn, childOut)
		p.handle = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed as a rule
		}
	}()
	if err := <-started; err != nil {
		closeAll(in, out)
		return nil, fmt.Errorf("start a replica: %w", err)
	}
	return p, nil
}

// kill ends the process as a crash does, and waits until it is gone.
func (p *process) kill() {
	_ = p.handle.Kill() // fails only if it is gone already
	<-p.exited
}

// release closes the parent's ends of the pipes.
func (p *process) release() { closeAll(p.in, p.out) }

func closeAll(files ...io.Closer) {
	for _, f := range files {
		_ = f.Close()
	}
}

// A tail keeps the last of what was written. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailKept = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	t.kept = t.kept[max(len(t.kept)-tailKept, 0):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.kept))
}
