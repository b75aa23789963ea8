package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// A Listed package is what `go list` says of one.
type Listed struct {
	ImportPath string
	Name       string
	Dir        string
	Export     string // the file with what it exports, compiled
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
	ImportMap  map[string]string // from what a file says to what is meant, where they differ
	Module     *struct{ GoVersion string }
	Error      *struct{ Err string }
}

// List asks the go command, in the working folder, about packages.
func List(ctx context.Context, flags []string, patterns ...string) ([]Listed, error) {
	args := append([]string{"list", "-e", "-json=ImportPath,Name,Dir,Export,GoFiles,CgoFiles,Imports,ImportMap,Module,Error"}, flags...)
	args = append(append(args, "--"), patterns...)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the go command, about packages that the user names
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	var packages []Listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Listed
		err := d.Decode(&p) //nolint:musttag // the go command's own names
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
}
