package write

import (
	"fmt"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"
)

// imports are those of the file, by path, each under a name that nothing else has.
type imports struct {
	taken map[string]bool   // names that are in use in the whole package
	names map[string]string // by path
	own   map[string]string // what each package calls itself, by path
}

func newImports(taken map[string]bool) *imports {
	return &imports{taken: taken, names: make(map[string]string), own: make(map[string]string)}
}

// name is what a package is called in the file. wish is what it should be called.
func (i *imports) name(importPath, own, wish string) string {
	if name, ok := i.names[importPath]; ok {
		return name
	}
	name := free(wish, func(name string) bool { return i.taken[name] || types.Universe.Lookup(name) != nil })
	i.taken[name] = true
	i.names[importPath], i.own[importPath] = name, own
	return name
}

// block is the import declaration: the standard library, a free line, the others.
func (i *imports) block() string {
	var standard, others []string
	for importPath, name := range i.names {
		line := strconv.Quote(importPath)
		if name != i.own[importPath] || name != path.Base(importPath) {
			line = name + " " + line
		}
		if first, _, _ := strings.Cut(importPath, "/"); strings.Contains(first, ".") {
			others = append(others, line)
		} else {
			standard = append(standard, line)
		}
	}
	byPath := func(a, b string) int {
		return strings.Compare(a[strings.IndexByte(a, '"'):], b[strings.IndexByte(b, '"'):])
	}
	slices.SortFunc(standard, byPath)
	slices.SortFunc(others, byPath)
	return "import (\n" + strings.Join(standard, "\n") + "\n\n" + strings.Join(others, "\n") + "\n)\n"
}

// free is wish, or wish with the first number behind it that makes it free.
func free(wish string, taken func(string) bool) string {
	name := wish
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("%s%d", wish, n)
	}
	return name
}

// guardName is what the type over an interface is called: with the package's name before it
// where it stands in another one and does not begin with it already.
func guardName(i *types.TypeName, same bool) string {
	name, prefix := i.Name(), i.Pkg().Name()
	if same || strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix)) {
		return name + "Guard"
	}
	return strings.ToUpper(prefix[:1]) + prefix[1:] + name + "Guard"
}

// constructorName is New and the type, or new where the type is not exported.
func constructorName(typeName string) string {
	if first := typeName[:1]; first != strings.ToUpper(first) {
		return "new" + strings.ToUpper(first) + typeName[1:]
	}
	return "New" + typeName
}
