package redisserver_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A recorder is a TB that notes how the test ended. The rest is the real one's.
type recorder struct {
	*testing.T

	ended string
}

func (r *recorder) Skipf(format string, args ...any) { r.end("skipped", format, args) }

func (r *recorder) Fatalf(format string, args ...any) { r.end("failed", format, args) }

func (r *recorder) end(how, format string, args []any) {
	r.Logf("%s: %s", how, fmt.Sprintf(format, args...))
	r.ended = how
	runtime.Goexit()
}

// run calls f as a test of its own would, and returns how it ended.
func (r *recorder) run(f func(redisserver.TB)) string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
		r.ended = "passed"
	}()
	<-done
	return r.ended
}

func TestWithoutAServerTestsSkipOrFail(t *testing.T) {
	own := func(t redisserver.TB) { redisserver.ForTest(t) }
	some := func(t redisserver.TB) { redisserver.URLForTest(t) }

	for _, test := range []struct {
		name         string
		f            func(redisserver.TB)
		url, require string
		want         string
	}{
		{"own", own, "", "", "skipped"},
		{"some", some, "", "", "skipped"},
		{"own, required", own, "", "1", "failed"},
		{"some, required", some, "", "1", "failed"},
		// A named server must not be flushed, so it cannot stand in for an own one;
		// but the others have it, and the run has talked to a real server.
		{"own, required, named", own, "localhost:1", "1", "skipped"},
		{"some, required, named", some, "localhost:1", "1", "passed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			t.Setenv(redisserver.EnvURL, test.url)
			t.Setenv(redisserver.EnvRequire, test.require)
			if got := (&recorder{T: t}).run(test.f); got != test.want {
				t.Errorf("the test %s; want %s", got, test.want)
			}
		})
	}
}
