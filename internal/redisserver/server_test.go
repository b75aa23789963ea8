package redisserver_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// ask sends one inline command and returns the first line of the answer.
func ask(ctx context.Context, addr, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func mustAnswer(t *testing.T, s *redisserver.Server, command, want string) {
	t.Helper()
	got, err := ask(t.Context(), s.Addr(), command)
	if err != nil || got != want {
		t.Errorf("%s: got %q, %v; want %q", command, got, err, want)
	}
}

func mustNotListen(t *testing.T, addr string) {
	t.Helper()
	if got, err := ask(t.Context(), addr, "PING"); err == nil {
		t.Errorf("PING: got %q from a server that is gone", got)
	}
}

func TestServerAnswers(t *testing.T) {
	s := redisserver.ForTest(t)
	mustAnswer(t, s, "PING", "+PONG")
	if want := "redis://" + s.Addr(); s.URL() != want {
		t.Errorf("URL() = %q; want %q", s.URL(), want)
	}
}

func TestServersDoNotMeet(t *testing.T) {
	a, b := redisserver.ForTest(t), redisserver.ForTest(t)
	mustAnswer(t, a, "SET k a", "+OK")
	mustAnswer(t, b, "EXISTS k", ":0")
}

func TestRestartBeginsEmpty(t *testing.T) {
	s := redisserver.ForTest(t)
	mustAnswer(t, s, "SET k v", "+OK")
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, s, "EXISTS k", ":0")
}

func TestArgumentsWinOverDefaults(t *testing.T) {
	s := redisserver.ForTest(t, "--appendonly", "yes", "--appendfsync", "always")
	mustAnswer(t, s, "SET k v", "+OK")
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, s, "EXISTS k", ":1")
}

func TestServerWithAPassword(t *testing.T) {
	s := redisserver.ForTest(t, "--requirepass", "secret")
	mustAnswer(t, s, "PING", "-NOAUTH Authentication required.")
	mustAnswer(t, s, "AUTH secret", "+OK")
}

func TestKillAndRestartKeepTheAddress(t *testing.T) {
	s := redisserver.ForTest(t)
	addr := s.Addr()
	s.Kill()
	s.Kill() // a second one does nothing
	mustNotListen(t, addr)
	if err := s.Pause(); err == nil {
		t.Error("Pause of a killed server: no error")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Addr() != addr {
		t.Errorf("Addr() = %q after Restart; want %q", s.Addr(), addr)
	}
	mustAnswer(t, s, "PING", "+PONG")
}

func TestPausedServerIsSilentUntilResumed(t *testing.T) {
	s := redisserver.ForTest(t)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := ask(ctx, s.Addr(), "INCR k"); err == nil {
		t.Errorf("a paused server answered %q", got)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, s, "PING", "+PONG")
}

func TestPausedServerCanBeStopped(t *testing.T) {
	s := redisserver.ForTest(t)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	mustNotListen(t, s.Addr())
}

func TestStopRemovesItsFolderTwiceIsFine(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := redisserver.ForTest(t, "--appendonly", "yes")
	if left := entries(t, os.TempDir()); left != 1 {
		t.Fatalf("%d entries in the temporary folder while the server is up; want 1", left)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if left := entries(t, os.TempDir()); left != 0 {
		t.Errorf("%d entries left in the temporary folder", left)
	}
	mustNotListen(t, s.Addr())
}

func TestStopKeepsTheCallersFolder(t *testing.T) {
	dir := t.TempDir()
	redisserver.ForTest(t) // skips or fails as all others do
	s, err := redisserver.Start(t.Context(), redisserver.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the caller's folder is gone: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	taken := portOf(t, redisserver.ForTest(t))
	before := entries(t, os.TempDir())

	for _, test := range []struct {
		name   string
		config redisserver.Config
		want   string
	}{
		{"bad argument", redisserver.Config{Args: []string{"--no-such-setting", "1"}}, "no-such-setting"},
		// The port answers all the while, but it is not the server that was started.
		{"taken port", redisserver.Config{Port: taken}, "Address already in use"},
		{"no program", redisserver.Config{Path: "/no/such/program"}, "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			mustNotStart(t, t.Context(), test.config, test.want)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		mustNotStart(t, ctx, redisserver.Config{}, context.Canceled.Error())
	})
	if after := entries(t, os.TempDir()); after != before {
		t.Errorf("%d entries in the temporary folder; want %d", after, before)
	}
}

func mustNotStart(t *testing.T, ctx context.Context, config redisserver.Config, want string) {
	t.Helper()
	s, err := redisserver.Start(ctx, config)
	if err == nil {
		t.Fatalf("Start succeeded; Stop: %v", s.Stop())
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
}

func TestFindWithoutAServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(redisserver.EnvURL, "")
	if path, err := redisserver.Find(); !errors.Is(err, redisserver.ErrNotFound) {
		t.Errorf("Find() = %q, %v; want ErrNotFound", path, err)
	}
	if _, _, err := redisserver.Resolve(t.Context()); !errors.Is(err, redisserver.ErrNotFound) {
		t.Errorf("Resolve() = %v; want ErrNotFound", err)
	}
}

func TestResolveTakesTheNamedServer(t *testing.T) {
	for named, want := range map[string]string{
		"localhost:7000":              "redis://localhost:7000",
		"rediss://u:p@example.com/3":  "rediss://u:p@example.com/3",
		"redis://example.com:6380/12": "redis://example.com:6380/12",
	} {
		t.Setenv(redisserver.EnvURL, named)
		url, own, err := redisserver.Resolve(t.Context())
		if url != want || own != nil || err != nil {
			t.Errorf("Resolve() = %q, %v, %v with %q; want %q", url, own, err, named, want)
		}
	}
}

func TestResolveStartsAServer(t *testing.T) {
	redisserver.ForTest(t)
	t.Setenv(redisserver.EnvURL, "")
	t.Setenv("HOLDFAST_REDIS", "redis://127.0.0.1:1") // the command's: it may be somebody's own
	url, own, err := redisserver.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if url != own.URL() {
		t.Errorf("Resolve() = %q; want %q", url, own.URL())
	}
	mustAnswer(t, own, "PING", "+PONG")
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func portOf(t *testing.T, s *redisserver.Server) int {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
