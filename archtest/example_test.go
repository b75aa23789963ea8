package archtest_test

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/archtest"
)

// printing stands for the *testing.T of a test.
type printing struct{}

func (printing) Helper()                           {}
func (printing) Context() context.Context          { return context.Background() }
func (printing) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printing) Fatalf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// A domain knows a few packages that do nothing by themselves, and its own; and nothing that
// it reaches opens a connection. This one does, two packages further on.
func ExampleImports() {
	var t printing // in a test it is the *testing.T
	archtest.Imports(t, "./testdata/shop/domain",
		archtest.Allow("errors", "strconv", "os/exec", "github.com/holdfast-go/holdfast/archtest/testdata/shop/..."),
		archtest.Trust("github.com/holdfast-go/holdfast/domain"),
		archtest.Deny("net/...", "database/sql/..."),
	)
	// Output:
	// github.com/holdfast-go/holdfast/archtest/testdata/shop/domain → github.com/holdfast-go/holdfast/archtest/testdata/shop/money → github.com/holdfast-go/holdfast/archtest/testdata/shop/clock → net: it is denied
}
