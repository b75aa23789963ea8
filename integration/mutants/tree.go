package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
)

// module is the root module, whose repository is tried.
const module = "github.com/holdfast-go/holdfast"

// repository is the folder of the root module, as the go command knows it from
// the working folder.
func repository(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", module, explain(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// copyTracked copies the files that git knows, or would add, as they are now:
// what a build left behind stays behind.
func copyTracked(ctx context.Context, from, to string) error {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = from
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", explain(err))
	}
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer target.Close()
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if err := copyFile(source, target, name); err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted, and not yet committed
			return err
		}
	}
	return nil
}

func copyFile(from, to *os.Root, name string) error {
	info, err := from.Stat(name)
	if err != nil {
		return err
	}
	text, err := from.ReadFile(name)
	if err != nil {
		return err
	}
	if err := to.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	return to.WriteFile(name, text, info.Mode().Perm())
}

// explain adds what the command said on its way out.
func explain(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
