package redisserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

const envOrphan = "REDISSERVER_TEST_ORPHAN"

// TestServerDiesWithItsParent kills a process that started a server. The
// process is this test itself, run again with envOrphan set.
func TestServerDiesWithItsParent(t *testing.T) {
	if os.Getenv(envOrphan) != "" {
		startAndWait(t)
		return
	}
	redisserver.ForTest(t) // skips or fails as all others do

	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	// Nobody is left to remove the server's folder, so it lies in this test's own.
	parent.Env = append(os.Environ(), envOrphan+"=1", "TMPDIR="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err = errors.Join(err, parent.Start()); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	addr = strings.TrimSpace(addr)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t.Context(), addr, "PING"); got != "+PONG" {
		t.Fatalf("PING before the kill: %q, %v", got, err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()

	// The kernel has signalled the server by now; it ends when it is next run.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !errors.Is(err, syscall.ECONNREFUSED) {
		if ctx.Err() != nil {
			t.Fatalf("the server at %s outlived its parent", addr)
		}
		_, err = ask(ctx, addr, "PING")
	}
}

// startAndWait prints the address of a server and waits to be killed.
func startAndWait(t *testing.T) {
	t.Helper()
	s, err := redisserver.Start(t.Context(), redisserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(s.Addr())
	select {}
}

// TestServerOutlivesTheThreadOfItsCaller guards the reason for the locked
// goroutine in startProcess.
func TestServerOutlivesTheThreadOfItsCaller(t *testing.T) {
	type result struct {
		server *redisserver.Server
		err    error
	}
	redisserver.ForTest(t) // skips or fails as all others do
	started := make(chan result)
	thread := make(chan int)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		s, err := redisserver.Start(t.Context(), redisserver.Config{})
		thread <- syscall.Gettid()
		started <- result{s, err}
	}()
	tid := <-thread
	r := <-started
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer func() { _ = r.server.Stop() }()

	// The main thread never ends; the runtime parks it.
	for alive := tid != os.Getpid(); alive; {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
		alive = err == nil
	}
	mustAnswer(t, r.server, "PING", "+PONG")
}
