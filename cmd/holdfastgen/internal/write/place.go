package write

import (
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// A Place is where a file is written: its package, and the names that are in use there.
type Place struct {
	Name  string
	taken map[string]token.Position
}

// PlaceOf looks at the folder of a file that is to be written, but not at the file. name is
// what its package is called; "" takes that of the files there, or the folder's.
func PlaceOf(file, name string) (Place, error) {
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return Place{}, err
	}
	found, err := build.ImportDir(folder, 0)
	if _, none := errors.AsType[*build.NoGoError](err); err != nil && !none {
		return Place{}, err
	}
	place := Place{Name: name, taken: make(map[string]token.Position)}
	if place.Name == "" {
		place.Name = found.Name
	}
	if place.Name == "" {
		place.Name = identifier(filepath.Base(folder))
	}
	for _, other := range slices.Concat(found.GoFiles, found.CgoFiles, found.TestGoFiles) {
		if other != filepath.Base(file) {
			if err := place.take(filepath.Join(folder, other)); err != nil {
				return Place{}, err
			}
		}
	}
	return place, nil
}

// take notes the names that a file declares for its whole package.
func (p Place) take(path string) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	note := func(names ...*ast.Ident) {
		for _, name := range names {
			p.taken[name.Name] = fset.Position(name.Pos())
		}
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				note(decl.Name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					note(spec.Name)
				case *ast.ValueSpec:
					note(spec.Names...)
				}
			}
		}
	}
	return nil
}

// identifier is a folder's name as that of a package.
func identifier(folder string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, folder)
	if !token.IsIdentifier(name) {
		return "application"
	}
	return name
}
