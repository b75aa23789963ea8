package main

import (
	"fmt"
	"io"
	"os"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/console"
	"github.com/holdfast-go/holdfast/internal/policycheck"
)

// runPolicy is the commands about policies: check is about files alone, the others are about
// what is published to a fleet. It returns the exit status.
func runPolicy(args []string, out, errs io.Writer) int {
	s := policycheck.Surround{
		Program: "holdfast policy check",
		Formats: policycheck.Basic(),
		Elsewhere: "YAML is read by holdfast-policyfile, which is got by " +
			"go get -tool github.com/holdfast-go/holdfast/contrib/policyfile/cmd/holdfast-policyfile",
		Out: out, Errs: errs, Lookup: os.LookupEnv,
	}
	switch {
	case len(args) == 0 || isHelp(args[0]):
		fmt.Fprintln(out, "usage: holdfast policy COMMAND\n\n  holdfast policy check    are files of policies right?")
		console.PolicyHelp(out)
		return exitOK
	case args[0] == "check":
		return policycheck.Run(args[1:], s)
	default:
		return runConsole("policy "+args[0], args[1:], out, errs)
	}
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }
