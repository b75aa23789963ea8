package declare

import (
	"go/ast"
	"slices"
	"strings"
)

// strays reports what nobody would read: directives that stand above no method, that do not
// exist, or that are comments because of a space.
func (r *reader) strays() {
	r.eachType(func(spec *ast.TypeSpec, _ *ast.CommentGroup) {
		r.above(spec.Type)
	})
	for _, file := range r.p.Files {
		for _, group := range file.Comments {
			for _, c := range group.List {
				if name, ok := almost(c); ok {
					r.problemf(c.Pos(), "%s%s begins without a space after //, or is a mere comment", mark, name)
				}
				if d, ok := read(c); ok && !r.used[d.pos] {
					r.problemf(c.Pos(), "%s%s stands above no method of an interface of the package", mark, d.name)
				}
			}
		}
	}
}

// above notes the directives above the methods of an interface, and of one that is written
// down inside it.
func (r *reader) above(expr ast.Expr) {
	declared, ok := ast.Unparen(expr).(*ast.InterfaceType)
	if !ok {
		return
	}
	for _, field := range declared.Methods.List {
		if len(field.Names) > 0 {
			r.known(of(field.Doc))
		} else {
			r.above(field.Type)
		}
	}
}

// known reports the directives above a method that do not exist.
func (r *reader) known(directives []directive) {
	for _, d := range directives {
		r.used[d.pos] = true
		if !slices.Contains(onMethods(), d.name) {
			r.problemf(d.pos, "%s%s is no directive of a method; expected one of %s", mark, d.name, strings.Join(onMethods(), ", "))
		}
	}
}
