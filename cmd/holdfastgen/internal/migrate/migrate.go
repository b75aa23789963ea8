// Package migrate gets calls of package compat ready for `go fix`, whose inliner cannot
// inline a generic function with inferred type arguments, and loses the comments inside a
// function literal that is an argument. It turns
//
//	compat.Retry(ctx, c, 3, fn)
//
// into the same with what the inliner can do, and touches nothing else of the file:
//
//	orchestrator.ExecuteWithPolicy(ctx, c, compat.RetryPolicy(3), fn)
package migrate

import (
	"cmp"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
)

const (
	compatPath       = "github.com/holdfast-go/holdfast/compat"
	orchestratorPath = "github.com/holdfast-go/holdfast/orchestrator"
)

// An edit puts text in the place of some bytes.
type edit struct {
	from, to int
	text     string
}

// File is a file's content after the migration; the same when there is nothing to do.
func File(name string, content []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	old, imported := importOf(file, compatPath)
	if imported == nil {
		return content, nil
	}
	orch, known := importOf(file, orchestratorPath)
	if known == nil {
		orch = "orchestrator"
	}
	at := func(pos token.Pos) int { return fset.Position(pos).Offset }
	var edits []edit
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			edits = append(edits, rewrite(call, old, orch, at)...)
		}
		return true
	})
	if len(edits) == 0 {
		return content, nil
	}
	if known == nil {
		edits = append(edits, edit{at(imported.Pos()), at(imported.Pos()), strconv.Quote(orchestratorPath) + separator(file, imported)})
	}
	return format.Source(apply(content, edits))
}

// importOf finds under which name a file imports a package.
func importOf(file *ast.File, importPath string) (name string, found *ast.ImportSpec) {
	for _, spec := range file.Imports {
		if said, err := strconv.Unquote(spec.Path.Value); err != nil || said != importPath {
			continue
		}
		if spec.Name == nil {
			return path.Base(importPath), spec
		}
		if spec.Name.Name != "_" && spec.Name.Name != "." {
			return spec.Name.Name, spec
		}
	}
	return "", nil
}

// separator stands between two imports: a line, and a keyword where there are no parentheses.
func separator(file *ast.File, spec *ast.ImportSpec) string {
	for _, decl := range file.Decls {
		if group, ok := decl.(*ast.GenDecl); ok && group.Lparen.IsValid() && group.Pos() < spec.Pos() && spec.End() <= group.End() {
			return "\n"
		}
	}
	return "\nimport "
}

// rewrite is what becomes of a call: its name, and the arguments that make the policy.
func rewrite(call *ast.CallExpr, old, orch string, at func(token.Pos) int) []edit {
	called := call.Fun
	if index, ok := called.(*ast.IndexExpr); ok { // with its type argument, which is inferred
		called = index.X
	}
	selector, ok := called.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	if pkg, ok := selector.X.(*ast.Ident); !ok || pkg.Name != old {
		return nil
	}
	policy, numbers := "", 0
	switch selector.Sel.Name {
	case "Retry":
		policy, numbers = "RetryPolicy", 1
	case "CircuitBreaker":
		policy, numbers = "BreakerPolicy", 1
	case "RateLimited":
		policy, numbers = "LimitPolicy", 3
	}
	const before, behind = 2, 1 // ctx and c, and fn
	if numbers == 0 || len(call.Args) != before+numbers+behind {
		return nil
	}
	first, last := at(call.Args[before].Pos()), at(call.Args[before+numbers-1].End())
	return []edit{
		{at(call.Fun.Pos()), at(call.Fun.End()), orch + ".ExecuteWithPolicy"},
		{first, first, old + "." + policy + "("},
		{last, last, ")"},
	}
}

// apply makes edits that do not overlap.
func apply(content []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	done := 0
	for _, e := range edits {
		out = append(append(out, content[done:e.from]...), e.text...)
		done = e.to
	}
	return append(out, content[done:]...)
}
