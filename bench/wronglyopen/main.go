// Command wronglyopen computes for how much of its time a healthy dependency's breaker is
// open in the whole fleet, for nothing but glitches of single replicas, and draws it.
// docs/wrongly-open.md has the derivation, and what this prints.
//
//	cd bench && GOWORK=off go run ./wronglyopen               # the table
//	cd bench && GOWORK=off go run ./wronglyopen -write ../docs # into the page, with its plot
//
// formula.go is the formula; simulation_test.go holds it against simulated fleets.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFail   = 1 // it could not be written
	exitMisuse = 2 // the command line cannot be meant
)

// The files in docs that this program writes.
const (
	pageFile = "wrongly-open.md" // between the marks
	plotFile = "wrongly-open.svg"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("wronglyopen", flag.ContinueOnError)
	flags.SetOutput(errs)
	docs := flags.String("write", "", "write table and plot into the page in this `folder`")
	if err := flags.Parse(args); err != nil {
		return exitMisuse
	}
	if flags.NArg() > 0 {
		flags.Usage()
		return exitMisuse
	}
	if err := show(out, *docs); err != nil {
		fmt.Fprintln(errs, "wronglyopen:", err)
		return exitFail
	}
	return exitOK
}

// show prints the table, or writes it into the page in docs.
func show(out io.Writer, docs string) error {
	if docs != "" {
		return write(docs)
	}
	_, err := io.WriteString(out, table())
	return err
}

// write brings page and plot up to date.
func write(docs string) error {
	page := filepath.Join(docs, pageFile)
	old, err := os.ReadFile(page) //nolint:gosec // the folder is what the command line names
	if err != nil {
		return err
	}
	text, err := withTable(string(old))
	if err != nil {
		return err
	}
	const public = 0o644
	if err := os.WriteFile(page, []byte(text), public); err != nil { //nolint:gosec // as above; and anybody may read it
		return err
	}
	return os.WriteFile(filepath.Join(docs, plotFile), []byte(plot()), public)
}

// The marks between which the page has the table.
const (
	markBegin = "<!-- what `go run ./wronglyopen` prints -->\n\n"
	markEnd   = "\n<!-- end -->\n"
)

var errMarks = errors.New("the marks of the table are missing in the page")

// withTable is a page with the table as it is now.
func withTable(page string) (string, error) {
	head, rest, ok := strings.Cut(page, markBegin)
	if !ok {
		return "", errMarks
	}
	_, tail, ok := strings.Cut(rest, markEnd)
	if !ok {
		return "", errMarks
	}
	return head + markBegin + table() + markEnd + tail, nil
}
