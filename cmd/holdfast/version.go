package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// printVersion says which build this is: the version of the module where it was
// installed as one, else the commit that it was built from.
func printVersion(out io.Writer) int {
	fmt.Fprintf(out, "holdfast %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if v := info.Main.Version; v != "" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "(devel)"
}
