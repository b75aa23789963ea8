package source

import (
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
)

// Method finds where a method of an interface is declared, in whichever package: for its
// comments, which compiled types do not have. It is nil when the source is not there.
func (p *Package) Method(fn *types.Func) *ast.Field {
	files := p.Files
	if fn.Pkg() != p.Types {
		files = p.sourceOf(fn.Pkg())
	}
	// Compiled types have files and lines, but no columns.
	at := p.fset.Position(fn.Pos())
	for _, file := range files {
		if filepath.Base(p.fset.Position(file.Package).Filename) != filepath.Base(at.Filename) {
			continue
		}
		if field := methodAt(p.fset, file, fn.Name(), at.Line); field != nil {
			return field
		}
	}
	return nil
}

// sourceOf reads the files of a package that this one is built of.
func (p *Package) sourceOf(other *types.Package) []*ast.File {
	if other == nil { // error is of none
		return nil
	}
	files, read := p.foreign[other.Path()]
	if !read {
		files, _ = p.parse(p.listed[other.Path()], "") // it was compiled
		p.foreign[other.Path()] = files
	}
	return files
}

func methodAt(fset *token.FileSet, file *ast.File, name string, line int) (found *ast.Field) {
	ast.Inspect(file, func(n ast.Node) bool {
		i, ok := n.(*ast.InterfaceType)
		if !ok {
			return found == nil
		}
		for _, field := range i.Methods.List {
			for _, ident := range field.Names {
				if ident.Name == name && fset.Position(ident.Pos()).Line == line {
					found = field
				}
			}
		}
		return found == nil
	})
	return found
}
