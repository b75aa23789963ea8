package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/migrate"
	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/source"
)

// writeOne writes a file, where it is not what it has to be already.
func writeOne(ctx context.Context, r recipe, errs io.Writer) error {
	want, err := r.generate(ctx, errs)
	if err != nil {
		return err
	}
	if got, err := os.ReadFile(r.file); err == nil && bytes.Equal(got, want) {
		return nil
	}
	return os.WriteFile(r.file, want, 0o644) //nolint:gosec // a source file, which others read
}

// checkOne fails if a file is not what it has to be.
func checkOne(ctx context.Context, r recipe, errs io.Writer) error {
	want, err := r.generate(ctx, errs)
	if err != nil {
		return err
	}
	got, err := os.ReadFile(r.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: is missing; run go generate", r.file)
	case err != nil:
		return err
	case !bytes.Equal(got, want):
		return fmt.Errorf("%s: is stale; run go generate", r.file)
	default:
		return nil
	}
}

// checkAll checks the generated files of packages.
func checkAll(ctx context.Context, patterns []string, errs io.Writer) error {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	packages, err := source.List(ctx, nil, patterns...)
	if err != nil {
		return err
	}
	var wrong []error
	for _, p := range packages {
		if p.Dir == "" {
			wrong = append(wrong, fmt.Errorf("%s: is no package", p.ImportPath))
		}
		for _, name := range p.GoFiles {
			file := source.Relative(filepath.Join(p.Dir, name))
			content, err := os.ReadFile(file) //nolint:gosec // a file of the packages that the user names
			if err != nil {
				return err
			}
			r, err := recipeOf(file, content)
			if errors.Is(err, errNotGenerated) {
				continue
			}
			if err == nil {
				err = checkOne(ctx, r, errs)
			}
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// migrateAll gets the files of folders, and of those below them, ready for go fix.
func migrateAll(folders []string, out io.Writer) error {
	if len(folders) == 0 {
		folders = []string{"."}
	}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && path != folder && slices.Contains([]string{"vendor", "testdata", ".git"}, entry.Name()):
				return fs.SkipDir
			case entry.IsDir() || filepath.Ext(path) != ".go":
				return nil
			}
			return migrateFile(path, out)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func migrateFile(path string, out io.Writer) error {
	before, err := os.ReadFile(path) //nolint:gosec // a file of the folders that the user names
	if err != nil {
		return err
	}
	after, err := migrate.File(path, before)
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	fmt.Fprintln(out, path)
	return os.WriteFile(path, after, 0o644) //nolint:gosec // a source file, which others read
}
