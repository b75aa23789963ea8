package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// docs is where the page is, from here.
const docs = "../../docs"

// TestDocs: page and plot in docs are what this program writes.
func TestDocs(t *testing.T) {
	const hint = "go run ./wronglyopen -write ../docs brings it up to date"
	page, err := os.ReadFile(filepath.Join(docs, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := withTable(string(page)); err != nil || string(page) != want {
		t.Errorf("%s is out of date (%v): %s", pageFile, err, hint)
	}
	drawn, err := os.ReadFile(filepath.Join(docs, plotFile))
	if err != nil || string(drawn) != plot() {
		t.Errorf("%s is out of date (%v): %s", plotFile, err, hint)
	}
}

func TestRun(t *testing.T) {
	var out, errs strings.Builder
	if status := run(nil, &out, &errs); status != exitOK || out.String() != table() {
		t.Errorf("status %d, %q", status, errs.String())
	}
	dir := t.TempDir()
	page := filepath.Join(dir, pageFile)
	if status := run([]string{"-write", dir}, &out, &errs); status != exitFail {
		t.Errorf("without a page: status %d", status)
	}
	for text, want := range map[string]int{
		"no marks": exitFail, markBegin: exitFail, "head\n" + markBegin + "old" + markEnd + "tail": exitOK,
	} {
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if status := run([]string{"-write", dir}, &out, &errs); status != want {
			t.Errorf("%q: status %d; want %d", text, status, want)
		}
	}
	for _, args := range [][]string{{"more"}, {"-what"}} {
		if status := run(args, &out, &errs); status != exitMisuse {
			t.Errorf("%v: status %d", args, status)
		}
	}
}

// TestFormula is what can be said without computing.
func TestFormula(t *testing.T) {
	usually := usual(time.Hour, time.Second, 10*time.Second)
	if short := usual(time.Hour, 300*time.Millisecond, 10*time.Second); short.wrongly() != 0 || short.openings() != 0 {
		t.Errorf("glitches of fewer calls than trip: %v", short.wrongly())
	}
	alone := usually
	if alone.replicas = 1; alone.wrongly() != 0 {
		t.Errorf("a fleet of one opens %v of its time", alone.wrongly())
	}
	// In a pair the second must trip while the first is bad: ten seconds in an
	// hour, for thirty seconds each time, twice that, since either may be the first.
	pair := usually
	pair.replicas = 2
	if got, want := pair.wrongly(), 2*30.0/3600*10/3600; math.Abs(got/want-1) > 0.05 {
		t.Errorf("a pair is wrongly open %v of its time; want about %v", got, want)
	}
	last := 0.0
	for _, w := range windows() {
		now := usual(time.Hour, time.Second, w).wrongly()
		if now <= last {
			t.Errorf("a longer Window makes it less: %v", now)
		}
		last = now
	}
	if rarer := usual(2*time.Hour, time.Second, 10*time.Second).wrongly(); rarer >= usually.wrongly() {
		t.Errorf("rarer glitches make it more: %v", rarer)
	}
	r := usual(time.Hour, time.Minute, 10*time.Second).round()
	if r.open != 90*time.Second || math.Abs(r.bad/r.silent-20.0/70) > 1e-6 {
		t.Errorf("a glitch of a minute: %+v; want a probe that fails after half of it", r)
	}
}
