package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/leaktest"
)

// asHoldfast in the environment makes the test program the command itself.
const asHoldfast = "HOLDFAST_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asHoldfast) != "" || (len(os.Args) > 1 && os.Args[1] == "demo-replica") {
		main()
	}
	os.Exit(leaktest.Main(m))
}

func TestExitStatusAndOneLine(t *testing.T) {
	for _, tt := range []struct {
		args   string
		status int
		out    string // on standard output
		errs   string // on standard error
	}{
		{"", exitOK, "holdfast demo", ""},
		{"help", exitOK, "holdfast demo", ""},
		{"--help", exitOK, "holdfast demo", ""},
		{"version", exitOK, "holdfast ", ""},
		{"demo -h", exitOK, "-replicas", ""},
		{"policy -h", exitOK, "usage: holdfast policy COMMAND", ""},
		{"policy check ../../policy/testdata/files/good/operations.json", exitOK, "ok: 2 policies", ""},
		{"policy check ../../policy/testdata/files/bad/text.json", exitFail, "text.json:3:32: ", ""},
		{"policy", exitOK, "usage: holdfast policy COMMAND", ""},
		{"policy chekc", exitMisuse, "", "not a command"},
		{"policy check", exitMisuse, "", "which files?"},
		{"policy check a.yaml", exitMisuse, "", "holdfast-policyfile"},
		{"dmeo", exitMisuse, "", `"dmeo"`},
		{"demo now", exitMisuse, "", `"now"`},
		{"demo --nope", exitMisuse, "", "-nope"},
		{"demo --replicas 0", exitMisuse, "", "--replicas 0"},
		{"demo --replicas x", exitMisuse, "", "-replicas"},
		{"demo --rate -5", exitMisuse, "", "--rate -5"},
		{"demo --burst 0", exitMisuse, "", "--burst 0"},
		{"demo --duration 1s", exitMisuse, "", "--duration 1s"},
		{"demo --redis ftp://x", exitMisuse, "", "--redis"},
		{"demo --redis 127.0.0.1:1", exitMisuse, "", "cannot reach Redis at 127.0.0.1:1"},
		{"demo --json --redis 127.0.0.1:1", exitMisuse, "", "cannot reach Redis at 127.0.0.1:1"},
	} {
		var out, errs bytes.Buffer
		if got := run(strings.Fields(tt.args), nil, &out, &errs); got != tt.status {
			t.Errorf("holdfast %s: status %d; want %d", tt.args, got, tt.status)
		}
		if !strings.Contains(out.String(), tt.out) || (tt.out == "" && out.Len() > 0) {
			t.Errorf("holdfast %s: printed %q; want %q", tt.args, &out, tt.out)
		}
		if !strings.Contains(errs.String(), tt.errs) || (tt.errs == "" && errs.Len() > 0) || strings.Count(errs.String(), "\n") > 1 {
			t.Errorf("holdfast %s: complained %q; want one line with %q", tt.args, &errs, tt.errs)
		}
	}
}

// TestTheDemoKeepsItsPromises is the whole command, as a script would use it, on
// the store that it brings along.
func TestTheDemoKeepsItsPromises(t *testing.T) {
	var out, errs bytes.Buffer
	status := run([]string{"demo", "--json", "--duration", "10s"}, nil, &out, &errs)
	var got struct {
		Verdict string
		Checks  []map[string]any
	}
	decoder := json.NewDecoder(&out)
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	if decoder.More() {
		t.Error("there is more on standard output than one object")
	}
	if passed := status == exitOK && got.Verdict == "pass"; len(got.Checks) != 13 || !passed && !raceDetector {
		t.Errorf("status %d, %d checks, verdict %q; want 0, 13, pass\n%v\n%s", status, len(got.Checks), got.Verdict, got.Checks, &errs)
	}
	if (status == exitOK) != (got.Verdict == "pass") {
		t.Errorf("status %d with verdict %q", status, got.Verdict)
	}
	for _, check := range got.Checks {
		for _, field := range []string{"name", "bound", "measured", "unit", "ok"} {
			if _, there := check[field]; !there {
				t.Errorf("%v lacks %q", check, field)
			}
		}
		if check["ok"] != true && check["unit"] != "ms" {
			t.Errorf("a bound broke: %v", check)
		}
	}
}

// TestNoReplicaOutlivesTheDemo kills the demo as a crash does.
func TestNoReplicaOutlivesTheDemo(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("needs /proc to find the replicas")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "demo")
	cmd.Env = append(os.Environ(), asHoldfast+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "all is well") {
			break
		}
	}
	replicas := childrenOf(t, cmd.Process.Pid)
	if len(replicas) != 4 {
		t.Errorf("%d replicas; want 4", len(replicas))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	deadline := time.After(10 * time.Second)
	for slices.ContainsFunc(replicas, alive) {
		select {
		case <-deadline:
			t.Fatalf("replicas %v are still there", replicas)
		case <-time.After(10 * time.Millisecond): // then look again
		}
	}
}
