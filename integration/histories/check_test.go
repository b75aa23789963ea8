package histories

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience bounds the judgement of one key, which takes milliseconds.
const patience = time.Minute

var (
	errIllegal = errors.New("no order of what happened explains the replies")
	errUnsure  = fmt.Errorf("not judged within %v", patience)
)

// judge checks what happened to one key. The picture is what a failure looks like.
func (h *history) judge(key string) (picture func(path string) error, err error) {
	m, ops := h.of(key)
	checked := m.porcupine()
	result, info := porcupine.CheckOperationsVerbose(checked, ops, patience)
	picture = func(path string) error { return porcupine.VisualizePath(checked, info, path) }
	switch result {
	case porcupine.Ok:
		return picture, nil
	case porcupine.Illegal:
		return picture, errIllegal
	default:
		return picture, errUnsure
	}
}

// illegal are the keys that cannot be explained.
func (h *history) illegal(t *testing.T) (keys []string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(h.keys)) {
		_, err := h.judge(key)
		switch {
		case errors.Is(err, errIllegal):
			keys = append(keys, key)
		case err != nil:
			t.Errorf("%s: %v", key, err)
		}
	}
	return keys
}

// pictures is the folder for pictures, which stay when the test is over: that of
// `go test -artifacts`, or else one that nobody removes.
func pictures(t *testing.T) string {
	t.Helper()
	if kept := flag.Lookup("test.artifacts"); kept != nil && kept.Value.String() == "true" {
		return t.ArtifactDir()
	}
	dir, err := os.MkdirTemp("", "histories-") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// check fails t where a key cannot be explained, and saves pictures of the first few.
func (h *history) check(t *testing.T) {
	t.Helper()
	begin := time.Now()
	for _, surprise := range h.surprises {
		t.Error(surprise)
	}
	longest, operations, drawn := 0, 0, 0
	for _, key := range slices.Sorted(maps.Keys(h.keys)) {
		longest, operations = max(longest, len(h.keys[key])), operations+len(h.keys[key])
		picture, err := h.judge(key)
		if err == nil {
			continue
		}
		t.Errorf("%s: %d operations: %v", key, len(h.keys[key]), err)
		t.Errorf("%s: %s", key, h.explain(key))
		if drawn++; drawn > 3 {
			continue
		}
		path := filepath.Join(pictures(t), strings.ReplaceAll(key, " ", "-")+".html")
		if err := picture(path); err != nil {
			t.Errorf("no picture: %v", err)
			continue
		}
		t.Errorf("the picture is %s", path)
	}
	t.Logf("%d calls, %d of unknown outcome (%.1f %%), %d never executed; %d operations on %d keys, %d on one at most, and %d losses: judged in %v",
		h.calls, h.unknown, 100*float64(h.unknown)/float64(max(h.calls, 1)), h.never,
		operations, len(h.keys), longest, len(h.losses), time.Since(begin).Round(time.Millisecond))
}
