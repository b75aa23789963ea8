package leaktest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A fake is a test that may fail.
type fake struct {
	name     string
	cleanups []func()
	failures []string
}

func (f *fake) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *fake) Helper()          {}
func (f *fake) Name() string     { return f.name }

func (f *fake) Errorf(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

// end runs the cleanups as testing does. Waiting in vain takes no time in a bubble.
func (f *fake) end() {
	for _, cleanup := range slices.Backward(f.cleanups) {
		cleanup()
	}
}

func startSleeping(end <-chan struct{}) { go func() { <-end }() }

// A goroutine that a test's goroutine started is its own, and not another test's.
func TestCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &fake{name: `Test/"one"`}, &fake{name: "Test/two"}
		end := make(chan struct{})
		started := make(chan struct{})
		go func() {
			Check(one)
			Check(one)
			go startSleeping(end)
			close(started)
		}()
		<-started
		synctest.Wait()
		Check(two)
		two.end()
		one.end()
		if len(two.failures) != 0 {
			t.Errorf("the test that left nothing failed: %q", two.failures)
		}
		if len(one.failures) != 1 || !strings.Contains(one.failures[0], "startSleeping") {
			t.Errorf("the test that left a goroutine failed so: %q", one.failures)
		}
		close(end)
	})
}

// What ends soon is waited for.
func TestCheckWaits(t *testing.T) {
	f := &fake{name: t.Name()}
	Check(f)
	go time.Sleep(50 * time.Millisecond)
	f.end()
	if len(f.failures) != 0 {
		t.Error(f.failures)
	}
}

// A run of tests leaves a goroutine of this project, and another one ends in time.
func TestMainTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		if status := Main(runs(func() int { go time.Sleep(time.Second); return 0 })); status != 0 {
			t.Errorf("nothing was left, and the status is %d", status)
		}
		if status := Main(runs(func() int { startSleeping(end); return 0 })); status != 1 {
			t.Errorf("a goroutine was left, and the status is %d", status)
		}
		close(end)
	})
}

type runs func() int

func (r runs) Run() int { return r() }

func TestDialer(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, leaves := range []bool{false, true} {
		f := &fake{name: t.Name()}
		conn, err := Dialer(f)(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if !leaves {
			_, _ = conn.Close(), conn.Close()
		}
		synctest.Test(t, func(*testing.T) { f.end() })
		if got := len(f.failures) != 0; got != leaves {
			t.Errorf("left open: %t; failures: %q", leaves, f.failures)
		}
		_ = conn.Close()
	}
}
