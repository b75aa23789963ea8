package main

import (
	"fmt"
	"io"
	"os"

	"github.com/holdfast-go/holdfast/internal/policycheck"
)

// runPolicy is `holdfast policy check`. It returns the exit status.
func runPolicy(args []string, out, errs io.Writer) int {
	s := policycheck.Surround{
		Program: "holdfast policy check",
		Formats: policycheck.Basic(),
		Elsewhere: "YAML is read by holdfast-policyfile, which is got by " +
			"go get -tool github.com/holdfast-go/holdfast/contrib/policyfile/cmd/holdfast-policyfile",
		Out: out, Errs: errs, Lookup: os.LookupEnv,
	}
	switch {
	case len(args) > 0 && args[0] == "check":
		return policycheck.Run(args[1:], s)
	case len(args) > 0 && isHelp(args[0]):
		return policycheck.Run([]string{"-h"}, s)
	default:
		fmt.Fprintln(errs, "holdfast policy: it takes check and files; see holdfast policy check -h")
		return exitMisuse
	}
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }
