package leaktest

import (
	"fmt"
	"os"
	"sync"
)

// TB is the part of [testing.TB] that is used here. It keeps the package testing
// out of this one.
type TB interface {
	Cleanup(f func())
	Errorf(format string, args ...any)
	Helper()
	Name() string
}

//nolint:gochecknoglobals // tests by name, so that one that uses several fixtures is checked once
var checked sync.Map

// Check fails t if a goroutine that it starts from now on, or that those start,
// goes on after its cleanups of later than now. Fixtures call it first, before
// they make anything. A second call in the same test does nothing.
func Check(t TB) {
	t.Helper()
	name := t.Name()
	if _, again := checked.LoadOrStore(name, true); again {
		return
	}
	mark(name)
	t.Cleanup(func() {
		defer checked.Delete(name)
		unmark()
		if left := await(func() string { return ofTest(name) }); left != "" {
			t.Errorf("leaktest: it leaves goroutines:\n%s", left)
		}
	})
}

// Main runs the tests of a package and returns the status to exit with: a failure
// if any goroutine of this project goes on after all of them.
//
//	func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }
func Main(m interface{ Run() int }) (status int) {
	status = m.Run()
	if left := await(ofProject); left != "" {
		fmt.Fprintf(os.Stderr, "leaktest: after all tests there are goroutines left:\n\n%s\n", left)
		return max(status, 1)
	}
	return status
}
