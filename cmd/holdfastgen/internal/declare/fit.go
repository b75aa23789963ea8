package declare

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	hold "github.com/holdfast-go/holdfast/domain"
)

// fits reports a method that cannot run under a guard.
func (r *reader) fits(fn *types.Func, pos token.Pos) {
	params, results := fn.Signature().Params(), fn.Signature().Results()
	if params.Len() == 0 || !isContext(params.At(0).Type()) {
		r.problemf(pos, "%s declares a policy, so its first parameter has to be a context.Context", fn.Name())
	}
	if n := results.Len(); n == 0 || !types.Identical(results.At(n-1).Type(), types.Universe.Lookup("error").Type()) {
		r.problemf(pos, "%s declares a policy, so its last result has to be an error", fn.Name())
	}
}

func isContext(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "context" && named.Obj().Name() == "Context"
}

// guards makes the guards of an interface, which tells now what would be told when the
// program starts: a breaker that stands twice, or two settings for one name.
func (r *reader) guards(i Interface) {
	for _, m := range i.Methods {
		if m.Policy == nil {
			continue
		}
		if _, err := r.orch.Guard(m.Guard, m.Policy); err != nil {
			said := err.Error()
			if hold.ValidateName("guard", m.Guard) != nil {
				said += fmt.Sprintf(": %q; with -prefix it begins with something else", m.Guard)
			}
			r.problems = append(r.problems, PositionError{m.At, said})
		}
	}
}

// sound reports the errors of types that an interface is made of. Others are not asked
// about: code that uses what is to be generated has some.
func (r *reader) sound(name *types.TypeName) {
	var spans []ast.Node
	for _, file := range r.p.Files {
		for _, imported := range file.Imports {
			spans = append(spans, imported)
		}
	}
	r.eachType(func(spec *ast.TypeSpec, _ *ast.CommentGroup) {
		if spec.Name.Name == name.Name() {
			spans = append(spans, spec)
		}
	})
	for _, err := range r.p.Wrong {
		wrong, ok := errors.AsType[types.Error](err)
		for _, span := range spans {
			if ok && span.Pos() <= wrong.Pos && wrong.Pos <= span.End() {
				r.problemf(wrong.Pos, "%s", wrong.Msg)
			}
		}
	}
}

// enough reports that there is nothing to generate, or more than one name can serve.
func (r *reader) enough(declared []Interface, prefix string) {
	switch {
	case len(r.problems) > 0: // which say more
	case len(declared) == 0:
		r.everywhere("no interface of " + r.p.Path + " declares a policy")
	case len(declared) > 1 && prefix != "":
		r.problemf(declared[1].Type.Pos(), "-prefix is for one interface, and there are several; name one with -type")
	}
	for _, i := range declared {
		if !i.declares() && len(r.problems) == 0 {
			r.problemf(i.Type.Pos(), "%s declares no policy", strings.TrimSpace(i.Type.Name()))
		}
	}
}
