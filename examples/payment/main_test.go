package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestServe: one command serves everything in memory, and ends when it is told to.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, said := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, said, io.Discard)
	}()
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	at, _, _ := strings.Cut(strings.TrimPrefix(string(line[:n]), "REST and GraphQL on "), ",")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at+"/payments",
		strings.NewReader(`{"id":"1","customer":"ada","cents":100}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

// TestMisuse: a command line that cannot be meant says so, and does nothing.
func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{"--no-such-flag"}, {"load", "--rate", "many"}} {
		var errs bytes.Buffer
		if err := run(t.Context(), args, io.Discard, &errs); !errors.Is(err, errMisuse) || errs.Len() == 0 {
			t.Errorf("%q: %v, %q", args, err, errs.String())
		}
	}
	if err := run(t.Context(), []string{"load", "--rate", "0"}, io.Discard, io.Discard); err == nil {
		t.Error("a load of nothing was made")
	}
}
