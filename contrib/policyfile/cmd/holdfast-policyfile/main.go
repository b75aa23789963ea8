// Command holdfast-policyfile checks files of policies, in YAML, JSON and text, as
// `holdfast policy check` does, which knows no YAML.
//
//	go get -tool github.com/holdfast-go/holdfast/contrib/policyfile/cmd/holdfast-policyfile
//	go tool holdfast-policyfile check policies.yaml
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/holdfast-go/holdfast/contrib/policyfile"
	"github.com/holdfast-go/holdfast/internal/policycheck"
	"github.com/holdfast-go/holdfast/policy"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, os.LookupEnv)) }

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, out, errs io.Writer, lookup policy.Lookup) int {
	s := policycheck.Surround{
		Program: "holdfast-policyfile check", Formats: policycheck.Basic(),
		Out: out, Errs: errs, Lookup: lookup,
	}
	s.Formats[".yaml"], s.Formats[".yml"] = policyfile.ReadYAML, policyfile.ReadYAML
	if len(args) > 0 && args[0] == "check" {
		return policycheck.Run(args[1:], s)
	}
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		return policycheck.Run([]string{"-h"}, s)
	}
	fmt.Fprintln(errs, "holdfast-policyfile: it takes check and files; see holdfast-policyfile check -h")
	return 2
}
