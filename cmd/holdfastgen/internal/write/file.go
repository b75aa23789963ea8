// Package write writes the types that run the methods of interfaces under their policies.
package write

import (
	"bytes"
	"fmt"
	"go/format"
	"go/token"
	"go/types"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/declare"
	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/source"
)

const (
	contextPath      = "context"
	timePath         = "time"
	holdPath         = "github.com/holdfast-go/holdfast/domain"
	orchestratorPath = "github.com/holdfast-go/holdfast/orchestrator"
)

// A writer writes one file.
type writer struct {
	place    Place
	pkg      *source.Package
	same     bool // the interfaces stand in the package that is written to
	imports  *imports
	problems declare.Problems

	orch string // the name of package orchestrator
	bytes.Buffer
}

// File writes the types over the interfaces of a package into a file at a place, which is
// the package's own where same says so. header is its first line.
func File(header string, place Place, pkg *source.Package, same bool, interfaces []declare.Interface) ([]byte, error) {
	taken := make(map[string]bool)
	for name := range place.taken {
		taken[name] = true
	}
	for _, i := range interfaces {
		name := guardName(i.Type, same)
		taken[name], taken[constructorName(name)] = true, true
		for param := range typeParams(i.Type).TypeParams() {
			taken[param.Obj().Name()] = true
		}
	}
	w := &writer{place: place, pkg: pkg, same: same, imports: newImports(taken)}
	w.name(interfaces)
	for _, i := range interfaces {
		w.guard(i)
	}
	if err := w.problems.Err(); err != nil {
		return nil, err
	}
	whole := fmt.Sprintf("%s\n\npackage %s\n\n%s%s", header, place.Name, w.imports.block(), w.Bytes())
	return formatted([]byte(whole))
}

// formatted is what gofmt makes of a file, and would leave alone: once is not always enough
// for that.
func formatted(content []byte) ([]byte, error) {
	for range 10 {
		again, err := format.Source(content)
		if err != nil {
			return nil, fmt.Errorf("what was generated does not parse, which is a bug of holdfastgen: %w", err)
		}
		if bytes.Equal(again, content) {
			return content, nil
		}
		content = again
	}
	return content, nil
}

// name gives the packages their names before anything is written, so that parameters can
// keep out of their way.
func (w *writer) name(interfaces []declare.Interface) {
	w.imports.name(contextPath, contextPath, contextPath)
	w.orch = w.imports.name(orchestratorPath, "orchestrator", "orchestrator")
	if !w.same {
		w.imports.name(w.pkg.Path, w.pkg.Name, w.pkg.Name)
	}
	for _, i := range interfaces {
		for _, m := range i.Methods {
			w.typ(m.Func.Type())
			if m.Policy != nil {
				w.literals().policy(m.Policy)
			}
		}
		for param := range typeParams(i.Type).TypeParams() {
			w.typ(param.Constraint())
		}
	}
}

func (w *writer) literals() literals {
	return literals{
		hold: func() string { return w.imports.name(holdPath, "domain", "hold") },
		time: func() string { return w.imports.name(timePath, timePath, timePath) },
	}
}

// typ writes a type as the file has to.
func (w *writer) typ(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		switch {
		case p == w.pkg.Types && w.same:
			return ""
		case p.Path() == holdPath:
			return w.imports.name(holdPath, "domain", "hold")
		default:
			return w.imports.name(p.Path(), p.Name(), p.Name())
		}
	})
}

func (w *writer) printf(format string, args ...any) { fmt.Fprintf(&w.Buffer, format, args...) }

func (w *writer) problemf(at token.Position, format string, args ...any) {
	w.problems = append(w.problems, declare.PositionError{At: at, Text: fmt.Sprintf(format, args...)})
}

// typeParams are those of an interface.
func typeParams(i *types.TypeName) *types.TypeParamList {
	switch t := i.Type().(type) {
	case *types.Named:
		return t.TypeParams()
	case *types.Alias:
		return t.TypeParams()
	default:
		return nil
	}
}
