package faults

import (
	"strconv"
	"testing"
	"time"
)

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// waitFor waits for something that happens within a time.
func waitFor(t *testing.T, within time.Duration, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}
