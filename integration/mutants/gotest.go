package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// An outcome is what a run of `go test` came to.
type outcome struct {
	failed bool
	test   string // the first that failed, or that never ended
	text   string // what the failed ones printed
}

// An event is what `go test -json` says, as far as it matters here.
type event struct {
	Action string `json:"action"` // the keys begin with capitals, which makes no difference
	Test   string `json:"test"`
	Output string `json:"output"`
}

// goTest runs tests of the module in dir: of packages, after flags that pick
// some of them. What does not compile is an error: no test has looked at it.
func goTest(ctx context.Context, dir string, which ...string) (outcome, error) {
	// -trimpath lets the next copy, which lies elsewhere, use what this one built;
	// without the tables for debuggers there is less to link, each time anew.
	args := append([]string{"test", "-json", "-trimpath", "-ldflags=-s -w", "-vet=off", "-count=1", "-failfast", "-timeout=120s"}, which...)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the packages are those of the table
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the tests stop the servers that they started
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return outcome{}, err
	}
	result, readErr := read(out)
	switch {
	case readErr != nil:
		return outcome{}, readErr
	case err != nil && !result.failed:
		return outcome{}, explain(err)
	}
	return result, nil
}

// read makes an outcome of the output of `go test -json`.
func read(out []byte) (o outcome, err error) {
	var printed, build strings.Builder
	last := "" // the test that began last
	for line := range bytes.Lines(out) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return outcome{}, fmt.Errorf("go test said %q: %w", line, err)
		}
		switch e.Action {
		case "build-output":
			build.WriteString(e.Output)
		case "build-fail":
			return outcome{}, fmt.Errorf("%w: %s", errCompile, strings.TrimSpace(build.String()))
		case "output":
			printed.WriteString(e.Output)
		case "run":
			last = e.Test
		case "fail":
			o.failed = true
			if o.test == "" && e.Test != "" {
				o.test = e.Test
			} else if o.test == "" {
				o.test = last + " (did not end)"
			}
		}
	}
	o.text = printed.String()
	return o, nil
}
