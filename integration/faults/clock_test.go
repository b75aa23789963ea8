package faults

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// shim moves the wall clock of one process by the seconds that a file holds.
const shim = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long *offset;

__attribute__((constructor)) static void begin(void) {
  int fd = open(getenv("CLOCK_OFFSET"), O_RDONLY);
  offset = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
}

int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int r = real(id, t);
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) t->tv_sec += *offset;
  return r;
}

int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
`

// A skewed server has a wall clock that the test moves.
type skewed struct {
	*redisserver.Server

	offset string // the file that holds it
}

// newSkewed starts a server with a clock that is right, until it is moved.
func newSkewed(t *testing.T) *skewed {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &skewed{offset: filepath.Join(dir, "offset")}
	s.move(t, 0)
	source, library, program := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so"), filepath.Join(dir, "server")
	must(os.WriteFile(source, []byte(shim), 0o600))
	if said, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("a C compiler is needed here: %v: %s", err, said)
	}
	path, err := redisserver.Find()
	must(err)
	script := "#!/bin/sh\nCLOCK_OFFSET=" + s.offset + " LD_PRELOAD=" + library + " exec " + path + ` "$@"` + "\n"
	must(os.WriteFile(program, []byte(script), 0o700))
	s.Server, err = redisserver.Start(t.Context(), redisserver.Config{Path: program})
	must(err)
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// move sets how far the server's clock is off.
func (s *skewed) move(t *testing.T, by time.Duration) {
	t.Helper()
	file, err := os.OpenFile(s.offset, os.O_RDWR|os.O_CREATE, 0o600) // written in place: it is mapped
	if err == nil {
		_, err = file.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(by/time.Second)), 0)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// clockJumps: a clock that leaps ahead gives one burst at most; one that steps
// back freezes nothing, and gives nothing.
func clockJumps(t *testing.T) {
	server := newSkewed(t)
	r := joinRig(t, server.Server, plan{})
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(100)})
	fast := r.limiter(domain.RateLimit{Name: "fast", Limit: domain.PerSecond(50).WithBurst(10)})
	if n := r.take(l, 1000); n != 100 {
		t.Errorf("%d calls; want the burst of 100", n)
	}
	for _, jump := range []struct {
		to   time.Duration
		most int64
	}{
		{time.Hour, 100}, {2 * time.Hour, 100}, {time.Hour, 1}, {-time.Hour, 1}, {0, 100}, {24 * time.Hour, 100}, {0, 1},
	} {
		server.move(t, jump.to)
		time.Sleep(time.Second + 50*time.Millisecond) // denials are remembered for a second
		n := r.take(l, 1000)
		t.Logf("clock at %+v: %d more calls", jump.to, n)
		if n > jump.most {
			t.Errorf("clock at %+v: %d more calls; want %d at most", jump.to, n, jump.most)
		}
		r.until(time.Second, "a limit of 50 a second is not frozen", func() bool { return r.take(fast, 1) == 1 })
	}
	r.wantCalm()
}
