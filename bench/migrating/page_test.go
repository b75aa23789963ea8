package migrating

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/migrating.md"

// shown is a block of code on the page, after the name of the file that it shows.
var shown = regexp.MustCompile("(?s)<!-- bench/migrating/([a-z/]+\\.go) -->\n+```go\n(.*?)```")

// TestPageShowsWhatCompiles compares the page with the files, which are compiled with
// this test: all of a file but its package clause.
func TestPageShowsWhatCompiles(t *testing.T) {
	text := read(t, page)
	var files []string
	for _, block := range shown.FindAllStringSubmatch(text, -1) {
		file, code := block[1], block[2]
		files = append(files, file)
		_, want, _ := strings.Cut(read(t, file), "\n\n")
		if code != want {
			t.Errorf("%s shows of %s:\n%s\nwhich is:\n%s", page, file, code, want)
		}
	}
	if blocks := strings.Count(text, "```go\n"); blocks != len(files) {
		t.Errorf("%s has %d blocks of Go, and names the files of %d", page, blocks, len(files))
	}
	slices.Sort(files)
	if want := sides(t); !slices.Equal(files, want) {
		t.Errorf("%s shows %v; want %v", page, files, want)
	}
}

// sides are the files that the page is to show, each before with its after.
func sides(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, side := range []string{"after", "before", "start"} {
		found, err := filepath.Glob(side + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, slices.DeleteFunc(found, func(f string) bool { return strings.HasSuffix(f, "/doc.go") })...)
	}
	for _, file := range files {
		if library, ok := strings.CutPrefix(file, "before/"); ok && !slices.Contains(files, "after/"+library) {
			t.Errorf("%s has no after", file)
		}
	}
	return files
}
