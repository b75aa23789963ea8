package policyfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/holdfast-go/holdfast/policy"
)

// Load reads a file of policies, with the environment of this process: as YAML where its
// name ends in .yaml or .yml, as JSON where it ends in .json. An error of what is in the
// file is a [*policy.SyntaxError].
func Load(path string) (*policy.Set, error) {
	return load(path, os.LookupEnv)
}

func load(path string, lookup policy.Lookup) (*policy.Set, error) {
	read, err := reading(path)
	if err != nil {
		return nil, err
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	set, err := read(data, lookup)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}

// reading is how a file of that name is read.
func reading(path string) (func([]byte, policy.Lookup) (*policy.Set, error), error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return ReadYAML, nil
	case ".json":
		return policy.ReadJSON, nil
	default:
		return nil, fmt.Errorf("%s: the name of a file of policies ends in .yaml, .yml or .json", path)
	}
}

var errNoFile = errors.New("it is no file")

// readFile reads a file, and no more than a file of policies may have.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would have to be waited for
		return nil, fmt.Errorf("%s: %w", path, errNoFile)
	}
	file, err := os.Open(path) //nolint:gosec // the file that its user names
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, policy.MaxFile+1))
}
