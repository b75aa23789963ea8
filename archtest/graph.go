package archtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// A listed package is what `go list` says of one.
type listed struct {
	ImportPath string
	Imports    []string
	ImportMap  map[string]string // from what a file says to what is meant, where they differ
	Standard   bool
	DepOnly    bool
	Error      *struct{ Err string }
}

// A graph has packages by import path.
type graph map[string]listed

// asked are the fields of a listed package.
const asked = "ImportPath,Imports,ImportMap,Standard,DepOnly,Error"

// load asks the go command for the packages of a pattern and all that they import.
func load(ctx context.Context, pattern string) (g graph, roots []string, err error) {
	//nolint:gosec // the go command, about packages that a test names
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-deps", "-json="+asked, "--", pattern)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list %s: %w: %s", pattern, err, bytes.TrimSpace(errs.Bytes()))
	}
	g = make(graph)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p) //nolint:musttag // the go command's own names
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("go list %s: %w", pattern, err)
		}
		if p.Error != nil {
			return nil, nil, fmt.Errorf("go list %s: %s", pattern, p.Error.Err)
		}
		g[p.ImportPath] = p
		if !p.DepOnly {
			roots = append(roots, p.ImportPath)
		}
	}
	if len(roots) == 0 {
		return nil, nil, fmt.Errorf("go list %s: no package is found", pattern)
	}
	return g, roots, nil
}

// walk calls visit for each package that the roots reach, with a shortest chain of imports
// from a root to it, and goes on behind it where visit says so. Roots come first.
func (g graph) walk(roots []string, visit func(path string, chain []string) (further bool)) {
	seen := make(map[string]bool)
	var next [][]string
	for _, root := range roots {
		seen[root] = true
		next = append(next, []string{root})
	}
	for ; len(next) > 0; next = next[1:] {
		chain := next[0]
		path := chain[len(chain)-1]
		if !visit(path, chain) {
			continue
		}
		for _, imported := range g[path].Imports {
			if meant, ok := g[path].ImportMap[imported]; ok {
				imported = meant
			}
			if imported != "C" && !seen[imported] {
				seen[imported] = true
				next = append(next, append(chain[:len(chain):len(chain)], imported))
			}
		}
	}
}
