package policyfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/policy"
)

// A watcher is a Watch that runs, and what it told, in order: the text of policy "a", or an
// error after a "!".
type watcher struct {
	t    *testing.T
	told chan string
	end  func()
}

// watching starts a Watch of a file that ends with the test.
func watching(t *testing.T, path string, c Config) *watcher {
	t.Helper()
	leaktest.Check(t)
	w := &watcher{t: t, told: make(chan string, 100)}
	c.Changed = func(set *policy.Set) error {
		text := set.Policies["a"].String()
		if text == "none" {
			return errors.New("it is not wanted")
		}
		w.told <- text
		return nil
	}
	c.Refused = func(err error) { w.told <- "!" + err.Error() }
	if c.Settle == 0 {
		c.Settle = 10 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Watch(ctx, path, c) }()
	w.end = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
	t.Cleanup(w.end)
	return w
}

// wants waits for what is told next. A file that is written in its place is empty for a
// moment, which a busy machine can make long enough to be told.
func (w *watcher) wants(want string) {
	w.t.Helper()
	const empty = "the file is empty"
	select {
	case got := <-w.told:
		if strings.Contains(got, empty) && !strings.Contains(want, empty) {
			w.wants(want)
			return
		}
		if !strings.Contains(got, want) || (got[0] == '!') != (want[0] == '!') && want[0] == '!' {
			w.t.Fatalf("it told %q; want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		w.t.Fatalf("it tells nothing; want %q", want)
	}
}

func file(policyOfA string) string { return "policies:\n  a: " + policyOfA + "\n" }

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWatchAFile: what becomes of a file in its life. What is refused is told, and changes
// nothing; what is the same as before is not told.
func TestWatchAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	put(t, path, file("timeout(1s)"))
	w := watching(t, path, Config{})
	w.wants("timeout(1s)")
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"written", func() { put(t, path, file("timeout(2s)")) }, "timeout(2s)"},
		{"replaced, as editors do", func() {
			put(t, path+"~", file("timeout(3s)"))
			must(t, os.Rename(path+"~", path))
		}, "timeout(3s)"},
		{"a mistake", func() { put(t, path, file("tiemout(4s)")) }, `!` + path + `: line 2, column 6: "tiemout" is no kind`},
		{"touched, and then right", func() {
			now := time.Now()
			must(t, os.Chtimes(path, now, now))
			put(t, path+"~", file("timeout(4s)"))
			must(t, os.Rename(path+"~", path))
		}, "timeout(4s)"},
		{"emptied", func() { must(t, os.Truncate(path, 0)) }, "!" + path + ": line 1, column 1: the file is empty"},
		{"and filled", func() { put(t, path, file("timeout(4s)")) }, "timeout(4s)"},
		{"not wanted", func() { put(t, path, file("none")) }, "!" + path + ": it is not wanted"},
		{"removed", func() { must(t, os.Remove(path)) }, "no such file"},
		{"brought back", func() { put(t, path, file("timeout(5s)")) }, "timeout(5s)"},
		{"a folder", func() {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		}, "it is no file"},
	} {
		t.Log(step.name)
		step.do()
		if step.name == "a folder" { // it may be told first that the file is gone
			for got := ""; !strings.Contains(got, step.want); got = <-w.told {
				if got != "" && !strings.Contains(got, "no such file") {
					t.Fatalf("it told %q", got)
				}
			}
			continue
		}
		w.wants(step.want)
	}
}

// TestWatchAConfigMap: Kubernetes makes a new folder, and turns a symbolic link over to it.
func TestWatchAConfigMap(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	publish := func(generation, text string) {
		must(t, os.Mkdir(in(generation), 0o700))
		put(t, filepath.Join(in(generation), "policies.yaml"), text)
		must(t, os.Symlink(generation, in("..data_tmp")))
		must(t, os.Rename(in("..data_tmp"), in("..data")))
	}
	publish("..2026_1", file("timeout(1s)"))
	must(t, os.Symlink(filepath.Join("..data", "policies.yaml"), in("policies.yaml")))
	w := watching(t, in("policies.yaml"), Config{})
	w.wants("timeout(1s)")
	for i := 2; i < 5; i++ {
		publish(fmt.Sprintf("..2026_%d", i), file(fmt.Sprintf("timeout(%ds)", i)))
		must(t, os.RemoveAll(in(fmt.Sprintf("..2026_%d", i-1))))
		w.wants(fmt.Sprintf("timeout(%ds)", i))
	}
	publish("..2026_5", file("tiemout(5s)"))
	w.wants(`!`)
}

// TestWatchALink: the file may be in another folder than its name.
func TestWatchALink(t *testing.T) {
	t.Parallel()
	target, link := filepath.Join(t.TempDir(), "real.yaml"), filepath.Join(t.TempDir(), "policies.yaml")
	put(t, target, file("timeout(1s)"))
	must(t, os.Symlink(target, link))
	w := watching(t, link, Config{})
	w.wants("timeout(1s)")
	put(t, target+"~", file("timeout(2s)"))
	must(t, os.Rename(target+"~", target))
	w.wants("timeout(2s)")
}

// TestWatchWhatIsNotThereYet: it says so once, and waits.
func TestWatchWhatIsNotThereYet(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies.json")
	w := watching(t, path, Config{Poll: 5 * time.Millisecond})
	w.wants("no such file")
	put(t, filepath.Join(filepath.Dir(path), "other"), "x")
	put(t, path+"~", `{"policies": {"a": "timeout(1s)"}}`)
	must(t, os.Rename(path+"~", path))
	w.wants("timeout(1s)")
}

// TestWatchWithoutNews: a folder that is made anew is no longer watched, and so is found by
// looking.
func TestWatchWithoutNews(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "policies")
	path := filepath.Join(folder, "policies.yaml")
	must(t, os.Mkdir(folder, 0o700))
	put(t, path, file("timeout(1s)"))
	w := watching(t, path, Config{Poll: 5 * time.Millisecond})
	w.wants("timeout(1s)")
	must(t, os.RemoveAll(folder))
	w.wants("no such file")
	next := folder + "~"
	must(t, os.Mkdir(next, 0o700))
	put(t, filepath.Join(next, "policies.yaml"), file("timeout(2s)"))
	must(t, os.Rename(next, folder))
	w.wants("timeout(2s)")
}

// TestWatchNothing: what cannot be watched is an error at once.
func TestWatchNothing(t *testing.T) {
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none", "policies.yaml"): "no such file",
		filepath.Join(t.TempDir(), "policies.toml"):         "ends in .yaml, .yml or .json",
	} {
		if err := Watch(t.Context(), path, Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

// TestSettle: a file is read when it has been quiet for Settle, or after ten times that, or
// after Poll without any news; and never after the end.
func TestSettle(t *testing.T) {
	c := Config{Settle: time.Second, Poll: time.Minute}
	for name, tt := range map[string]struct {
		news  []time.Duration // after the one before
		lost  bool            // and the first of it is that some was lost
		until time.Duration
		want  bool
	}{
		"one change":          {[]time.Duration{5 * time.Second}, false, 6 * time.Second, true},
		"several":             {[]time.Duration{5 * time.Second, 900 * time.Millisecond, 900 * time.Millisecond}, false, 7800 * time.Millisecond, true},
		"too long apart":      {[]time.Duration{5 * time.Second, 1100 * time.Millisecond}, false, 6 * time.Second, true},
		"without end":         {every(900*time.Millisecond, 30), false, 10900 * time.Millisecond, true},
		"some that were lost": {[]time.Duration{5 * time.Second}, true, 6 * time.Second, true},
		"none":                {nil, false, time.Minute, true},
		"the end":             {[]time.Duration{119 * time.Second}, false, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &watch{config: c, notify: &fsnotify.Watcher{Events: make(chan fsnotify.Event), Errors: make(chan error)}}
			ctx, cancel := context.WithCancel(t.Context())
			if !tt.want {
				cancel()
			}
			defer cancel()
			go func() {
				for i, after := range tt.news {
					select {
					case <-time.After(after):
					case <-ctx.Done():
						return
					}
					events, errs := w.notify.Events, w.notify.Errors
					if i == 0 && tt.lost {
						events = nil
					} else {
						errs = nil
					}
					select {
					case events <- fsnotify.Event{}:
					case errs <- fsnotify.ErrEventOverflow:
					case <-ctx.Done():
						return
					}
				}
			}()
			began := time.Now()
			if got, took := w.settled(ctx), time.Since(began); got != tt.want || took != tt.until {
				t.Errorf("%s: %v after %s; want %v after %s", name, got, took, tt.want, tt.until)
			}
			cancel()
			synctest.Wait()
		})
	}
}

func every(d time.Duration, n int) []time.Duration {
	news := make([]time.Duration, n)
	for i := range news {
		news[i] = d
	}
	return news
}

// TestLook: each content is told once, however often it is looked at.
func TestLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	notify, err := fsnotify.NewWatcher()
	must(t, err)
	defer notify.Close()
	var told []string
	w := &watch{path: path, notify: notify, config: Config{
		Changed: func(set *policy.Set) error { told = append(told, set.Policies["a"].String()); return nil },
		Refused: func(error) { told = append(told, "refused") },
	}.withDefaults()}
	for _, write := range []func(){
		func() {},
		func() { put(t, path, file("timeout(1s)")) },
		func() { put(t, path, file("timeout(1s)")) },
		func() { put(t, path, file("tiemout(1s)")) },
		func() { put(t, path, file("timeout(1s)")) },
		func() { must(t, os.Remove(path)) },
	} {
		write()
		for range 3 {
			w.look()
		}
	}
	want := []string{"refused", "timeout(1s)", "refused", "timeout(1s)", "refused"}
	if !slices.Equal(told, want) {
		t.Errorf("it told %v; want %v", told, want)
	}
}
