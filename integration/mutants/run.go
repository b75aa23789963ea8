package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var (
	errMissed  = errors.New("a bug was missed, or could not be tried")
	errBroken  = errors.New("the tests fail as they are: nothing can be caught by them")
	errApply   = errors.New("cannot be applied")
	errCompile = errors.New("does not compile")
)

// A mutant is one bug, put back by replacing a piece of one file.
type mutant struct {
	name     string   // the bug, in a few words
	file     string   // from the root of the repository, with slashes
	old, new string   // old stands in the file exactly once
	packages []string // whose tests have to notice, as "./fleet"; tried in order until one does
}

// A verdict is what became of one mutant.
type verdict struct {
	by   string // the package that caught it; "" = missed
	test string // the first that failed
	err  error  // why it could not be tried
}

// A lab tries mutants in a copy of the repository that is its own.
type lab struct {
	dir string
	out io.Writer
}

// run tries all mutants, after the tests have passed without any. It prints a
// line for each and their number, and returns an error unless all were caught.
func (l *lab) run(ctx context.Context, mutants []mutant) error {
	if err := l.baseline(ctx, mutants); err != nil {
		return err
	}
	var caught, missed, broken int
	for _, m := range mutants {
		begin := now()
		v := l.trial(ctx, m)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case v.err != nil:
			broken++
		case v.by == "":
			missed++
		default:
			caught++
		}
		fmt.Fprintf(l.out, "%s %s (%s, %s)\n", v, m.name, m.file, since(begin))
	}
	if broken > 0 {
		fmt.Fprintf(l.out, "%d could not be tried: the table is wrong\n", broken)
	}
	fmt.Fprintf(l.out, "%d caught, %d missed\n", caught, missed)
	if missed+broken > 0 {
		return errMissed
	}
	return nil
}

func (v verdict) String() string {
	switch {
	case v.err != nil:
		return fmt.Sprintf("ERROR   %v:", v.err)
	case v.by == "":
		return "MISSED "
	default:
		return fmt.Sprintf("caught  by %s %s:", v.by, v.test)
	}
}

// baseline runs the tests as they are, so that a failure of their own is not
// taken for a catch.
func (l *lab) baseline(ctx context.Context, mutants []mutant) error {
	var packages []string
	for _, m := range mutants {
		packages = append(packages, m.packages...)
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	fmt.Fprintf(l.out, "without a bug: %s\n", strings.Join(packages, " "))
	begin := now()
	for dir, names := range l.modules(packages) {
		outcome, err := goTest(ctx, dir, names...)
		switch {
		case err != nil:
			return err
		case outcome.failed:
			fmt.Fprintf(l.out, "failed  by %s\n%s", outcome.test, outcome.text)
			return errBroken
		}
	}
	fmt.Fprintf(l.out, "passed  (%s)\n", since(begin))
	return nil
}

// modules are the folders of the modules that packages belong to, and the
// packages as they are called there.
func (l *lab) modules(packages []string) map[string][]string {
	of := make(map[string][]string)
	for _, name := range packages {
		home, inner := "", path.Clean(name)
		for at := inner; at != "."; at = path.Dir(at) {
			if _, err := os.Stat(filepath.Join(l.dir, at, "go.mod")); err == nil {
				home, inner = at, strings.TrimPrefix(strings.TrimPrefix(inner, at), "/")
				break
			}
		}
		dir := filepath.Join(l.dir, home)
		of[dir] = append(of[dir], "./"+inner)
	}
	return of
}

// trial puts one bug in, lets the tests look, and takes it out again.
func (l *lab) trial(ctx context.Context, m mutant) (v verdict) {
	copied, err := os.OpenRoot(l.dir)
	if err != nil {
		return verdict{err: err}
	}
	defer copied.Close()
	text, err := copied.ReadFile(m.file)
	if err != nil {
		return verdict{err: err}
	}
	changed, err := m.apply(string(text))
	if err != nil {
		return verdict{err: err}
	}
	defer func() { v.err = errors.Join(v.err, copied.WriteFile(m.file, text, 0o600)) }()
	if err := copied.WriteFile(m.file, []byte(changed), 0o600); err != nil {
		return verdict{err: err}
	}
	for _, name := range m.packages {
		for _, pass := range passes(name) {
			for dir, names := range l.modules([]string{name}) {
				outcome, err := goTest(ctx, dir, append(pass, names...)...)
				if err != nil {
					return verdict{err: err}
				}
				if outcome.failed {
					return verdict{by: name, test: outcome.test}
				}
			}
		}
	}
	return verdict{}
}

// passes are the flags of the runs that all tests of a package are divided into:
// those that take nearly all of the time come last, and mostly not at all.
func passes(name string) [][]string {
	slow := map[string]string{
		"./store/redis": "^TestStoresAgree$", // random tapes
		// Real servers and networks, whole fleets, many keys.
		"./fleet": "Redis|Server|ANetwork|Simulated|TestCase49|TestMemoryOf|RecoveryIs|TestCase37And40",
	}[name]
	if slow == "" {
		return [][]string{nil}
	}
	return [][]string{{"-skip", slow}, {"-run", slow}}
}

// apply is text with the bug in it.
func (m mutant) apply(text string) (string, error) {
	if n := strings.Count(text, m.old); n != 1 {
		return "", fmt.Errorf("%w: the old text occurs %d times", errApply, n)
	}
	return strings.Replace(text, m.old, m.new, 1), nil
}

func now() time.Time { return time.Now() } //nolint:forbidigo // what it takes is shown to a person, and decides nothing

func since(t time.Time) time.Duration { return now().Sub(t).Round(100 * time.Millisecond) }
