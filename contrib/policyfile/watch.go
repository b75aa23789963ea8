package policyfile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/holdfast-go/holdfast/policy"
)

// Config says what Watch does. Its functions are called one at a time, by the goroutine
// that called Watch.
type Config struct {
	// Changed is given what the file holds: at first, and each time that it holds something
	// else and that can be read. An error of it goes to Refused. Required.
	Changed func(*policy.Set) error
	// Refused is told why what the file holds now is not used, so that what was used before
	// goes on: once for each content, and once when there is no file. Defaults to nothing.
	Refused func(error)
	// Settle is for how long nothing may happen to the file before it is read, so that it is
	// not read while it is written; ten times as long at most. Defaults to 100 ms.
	Settle time.Duration
	// Poll is after what time the file is read without any news of it, for file systems that
	// tell none. Defaults to 1 min.
	Poll time.Duration
	// Lookup finds variables of the environment. Defaults to os.LookupEnv.
	Lookup policy.Lookup
}

func (c Config) withDefaults() Config {
	if c.Refused == nil {
		c.Refused = func(error) {}
	}
	if c.Settle <= 0 {
		c.Settle = 100 * time.Millisecond
	}
	if c.Poll <= 0 {
		c.Poll = time.Minute
	}
	if c.Lookup == nil {
		c.Lookup = os.LookupEnv
	}
	return c
}

// Watch reads the file at path, and again whenever it changes, until ctx ends; it returns
// nil then. An error means that there is nothing to watch: path is no name of a file of
// policies, or its folder cannot be watched.
//
// It watches the folder and not the file, which editors and Kubernetes replace by another
// one: a rename, and the symbolic links of a ConfigMap, are seen. The file may be missing,
// at first and later.
func Watch(ctx context.Context, path string, c Config) error {
	c = c.withDefaults()
	if _, err := reading(path); err != nil {
		return err
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	defer notify.Close()
	w := &watch{path: path, config: c, notify: notify}
	if err := notify.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	w.look()
	for w.settled(ctx) {
		w.look()
	}
	return nil
}

// A watch is one run of Watch.
type watch struct {
	path   string
	config Config
	notify *fsnotify.Watcher
	seen   *content // at the last reading; nil before the first
}

// A content is what a reading found.
type content struct {
	data []byte
	err  string // why there is no data
}

// settled waits until the file should be read again; false when ctx has ended.
func (w *watch) settled(ctx context.Context) bool {
	poll := time.NewTimer(w.config.Poll)
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-poll.C:
		return true
	case <-w.notify.Events:
	case <-w.notify.Errors: // it may have missed something
	}
	quiet, latest := time.NewTimer(w.config.Settle), time.NewTimer(10*w.config.Settle)
	defer quiet.Stop()
	defer latest.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-quiet.C:
			return true
		case <-latest.C:
			return true
		case <-w.notify.Events:
			quiet.Reset(w.config.Settle)
		case <-w.notify.Errors:
		}
	}
}

// look reads the file, and tells when it holds something else than before.
func (w *watch) look() {
	w.follow()
	data, err := readFile(w.path)
	now := &content{data: data}
	if err != nil {
		now.err = err.Error()
	}
	if w.seen != nil && w.seen.err == now.err && bytes.Equal(w.seen.data, now.data) {
		return
	}
	w.seen = now
	if err == nil {
		err = w.use(data)
	}
	if err != nil {
		w.config.Refused(err)
	}
}

// use gives what the file holds to Changed.
func (w *watch) use(data []byte) error {
	read, err := reading(w.path)
	if err != nil {
		return err
	}
	set, err := read(data, w.config.Lookup)
	if err == nil {
		err = w.config.Changed(set)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return nil
}

// follow watches the folder, and the one to which symbolic links lead: after it was made
// anew, too. What cannot be watched now is looked at by and by.
func (w *watch) follow() {
	_ = w.notify.Add(filepath.Dir(w.path))
	if target, err := filepath.EvalSymlinks(w.path); err == nil {
		_ = w.notify.Add(filepath.Dir(target))
	}
}
