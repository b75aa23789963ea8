// Package archtest lets a test of yours say what a package may import. It is for the layers
// of your own service, and for the domain above all:
//
//	func TestTheDomainIsPure(t *testing.T) {
//		archtest.Imports(t, "./domain/...",
//			archtest.Allow("context", "errors", "fmt", "time"),
//			archtest.Trust("github.com/holdfast-go/holdfast/domain"),
//			archtest.Deny("net/...", "database/sql/..."),
//		)
//	}
//
// What it finds it tells with the way there, since that is what one has to cut:
//
//	shop/domain → shop/domain/money → golang.org/x/text/message: it is not allowed
//
// It asks the go command, so what counts is what is built here: build tags and all, without
// the files of tests.
package archtest
