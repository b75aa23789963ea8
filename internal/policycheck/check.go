// Package policycheck is the command that checks files of policies: flags and printing
// over package policy. Two programs have it: holdfast, which reads JSON and text, and that
// of contrib/policyfile, which reads YAML, too.
package policycheck

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/policy"
)

// The exit statuses.
const (
	accepted = 0
	refused  = 1 // a file holds a mistake
	misuse   = 2 // the command line cannot be meant, or names what is not there
)

// A Format reads a file.
type Format func(data []byte, lookup policy.Lookup) (*policy.Set, error)

// Formats are those by the end of a file's name, such as ".json".
type Formats map[string]Format

// Basic are the formats that need nothing but the standard library.
func Basic() Formats {
	return Formats{".json": policy.ReadJSON, ".txt": readText}
}

// readText reads the one policy of a text file as a set, in which it has the name "policy".
func readText(data []byte, _ policy.Lookup) (*policy.Set, error) {
	p, old, err := policy.ReadText(data)
	if err != nil {
		return nil, err
	}
	return &policy.Set{Policies: map[string]domain.Policy{"policy": p}, Deprecated: old}, nil
}

// A Surround is what the command has around it.
type Surround struct {
	Program   string // as it is called, such as "holdfast policy check"
	Formats   Formats
	Elsewhere string // what to do about a file of another format; "" when there is nothing
	Out, Errs io.Writer
	Lookup    policy.Lookup // finds variables of the environment
}

// options are all that flags can say.
type options struct {
	asJSON bool
	strict bool
}

// Run checks the files that the arguments name, and returns the exit status.
func Run(args []string, s Surround) int {
	var o options
	flags := flag.NewFlagSet(s.Program, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are one line, printed here
	flags.BoolVar(&o.asJSON, "json", false, "print one JSON object, for machines")
	flags.BoolVar(&o.strict, "strict", false, "refuse what is deprecated, too")
	files, err := parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return help(flags, s)
	}
	if err == nil {
		err = s.readable(files)
	}
	if err != nil {
		fmt.Fprintf(s.Errs, "%s: %v; see %s -h\n", s.Program, err, s.Program)
		return misuse
	}
	status := accepted
	reports := make([]report, 0, len(files))
	for _, file := range files {
		r, err := s.check(file, o)
		switch {
		case err != nil:
			fmt.Fprintf(s.Errs, "%s: %v\n", s.Program, err)
			status = misuse
		case !r.OK:
			status = max(status, refused)
			fallthrough
		default:
			reports = append(reports, r)
		}
	}
	if err := write(s.Out, reports, o.asJSON); err != nil {
		fmt.Fprintf(s.Errs, "%s: %v\n", s.Program, err)
		return misuse
	}
	return status
}

func help(flags *flag.FlagSet, s Surround) int {
	fmt.Fprintf(s.Out, `usage: %s FILE ...

Checks files of policies: %s. Each mistake is told with its line and
column. Variables of the environment are replaced where a file refers to them.
Exit status: 0 all are right, 1 one is not, 2 a mistake in the command, or a file
that cannot be read.

`, s.Program, strings.Join(s.Formats.ends(), ", "))
	flags.SetOutput(s.Out)
	flags.PrintDefaults()
	return accepted
}

// parse reads flags wherever they stand among the arguments, which are returned.
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
			return rest, err
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// readable reports a command line without files, or with one of no format.
func (s Surround) readable(files []string) error {
	if len(files) == 0 {
		return errors.New("which files?")
	}
	for _, file := range files {
		if s.Formats.of(file) != nil {
			continue
		}
		err := fmt.Errorf("%s ends in none of %s", file, strings.Join(s.Formats.ends(), ", "))
		if s.Elsewhere != "" {
			err = fmt.Errorf("%w; %s", err, s.Elsewhere)
		}
		return err
	}
	return nil
}

// check checks one file. An error means that it cannot be read.
func (s Surround) check(file string, o options) (report, error) {
	data, err := contents(file)
	if err != nil {
		return report{}, err
	}
	set, err := s.Formats.of(file)(data, s.Lookup)
	if err != nil {
		return rejection(file, err), nil
	}
	r := acceptance(file, set)
	r.OK = len(set.Deprecated) == 0 || !o.strict
	return r, nil
}

// contents reads a file, and no more than a file of policies may have.
func contents(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the file that its user names
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, policy.MaxFile+1))
}

// of is the format of a file; nil when it has none.
func (f Formats) of(file string) Format { return f[strings.ToLower(filepath.Ext(file))] }
