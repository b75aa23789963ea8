// Package source loads one package with its comments and types.
//
// It needs nothing but the standard library and the go command: `go list -export` has the
// compiled types of what the package imports, which is also how golang.org/x/tools/go/packages
// does it. So the tool is part of the root module, and costs those who use it as a `go tool`
// no module more.
package source

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A Package is one that was read.
type Package struct {
	Path  string
	Name  string
	Dir   string
	Files []*ast.File
	Types *types.Package
	// Wrong are the errors of its types. A package may have some and be fit for use: one
	// that uses what is to be generated has.
	Wrong []error

	fset    *token.FileSet
	listed  map[string]Listed // what it is built of, by path
	foreign map[string][]*ast.File
}

// Load reads the package of a pattern, in the working folder, but for the file without: the
// one that is to be written.
func Load(ctx context.Context, pattern, without string) (*Package, error) {
	found, err := List(ctx, nil, pattern)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s: these are %d packages; name one", pattern, len(found))
	}
	about := found[0]
	if about.Dir == "" || len(about.GoFiles)+len(about.CgoFiles) == 0 {
		reason := "it has no Go files"
		if about.Error != nil {
			reason = about.Error.Err
		}
		return nil, fmt.Errorf("%s: %s", pattern, reason)
	}
	p := &Package{
		Path: about.ImportPath, Name: about.Name, Dir: about.Dir,
		fset: token.NewFileSet(), listed: make(map[string]Listed), foreign: make(map[string][]*ast.File),
	}
	if p.Files, err = p.parse(about, without); err != nil {
		return nil, err
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%s: it has no Go files but %s", pattern, without)
	}
	return p, p.check(ctx, about)
}

// parse reads the files of a package.
func (p *Package) parse(about Listed, without string) (files []*ast.File, err error) {
	for _, name := range slices.Concat(about.GoFiles, about.CgoFiles) {
		path := filepath.Join(about.Dir, name)
		if SameFile(path, without) {
			continue
		}
		file, err := parser.ParseFile(p.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// check finds the types out.
func (p *Package) check(ctx context.Context, about Listed) error {
	imports := slices.DeleteFunc(slices.Clone(about.Imports), func(path string) bool { return path == "C" || path == "unsafe" })
	if len(imports) > 0 {
		built, err := List(ctx, []string{"-export", "-deps"}, imports...)
		if err != nil {
			return err
		}
		for _, b := range built {
			p.listed[b.ImportPath] = b
		}
	}
	compiled := importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) {
		b, ok := p.listed[path]
		switch {
		case ok && b.Export != "":
			return os.Open(b.Export)
		case ok && b.Error != nil:
			return nil, errors.New(b.Error.Err)
		default:
			return nil, errors.New("it does not build")
		}
	})
	config := types.Config{
		Importer:         mapped{compiled, about.ImportMap},
		IgnoreFuncBodies: true,
		FakeImportC:      true,
		Error:            func(err error) { p.Wrong = append(p.Wrong, err) },
	}
	if about.Module != nil && about.Module.GoVersion != "" {
		config.GoVersion = "go" + about.Module.GoVersion
	}
	p.Types, _ = config.Check(about.ImportPath, p.fset, p.Files, nil) // Error has them all
	return nil
}

// mapped imports what is meant by what a file says.
type mapped struct {
	types.Importer

	meant map[string]string
}

func (m mapped) Import(path string) (*types.Package, error) {
	if meant, ok := m.meant[path]; ok {
		path = meant
	}
	return m.Importer.Import(path)
}

// Position is where pos is, with the file's name relative to the working folder.
func (p *Package) Position(pos token.Pos) token.Position {
	position := p.fset.Position(pos)
	position.Filename = Relative(position.Filename)
	return position
}

// Relative is a file's name as one in the working folder writes it.
func Relative(name string) string {
	if here, err := os.Getwd(); err == nil {
		if shorter, err := filepath.Rel(here, name); err == nil && len(shorter) < len(name) {
			return shorter
		}
	}
	return name
}

// SameFile reports whether two paths are those of one file or folder.
func SameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	return resolved(a) == resolved(b)
}

// resolved is a path without links, as far as it exists.
func resolved(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if whole, err := filepath.EvalSymlinks(abs); err == nil {
		return whole
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		return filepath.Join(folder, filepath.Base(abs))
	}
	return abs
}
