package faults

import (
	"context"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A way is a way to a server, on which things go wrong.
type way struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

// newWay makes a way that is well. It ends with the test.
func newWay(t *testing.T, server string) *way {
	t.Helper()
	owner := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &way{t, toxiproxy.NewProxy(owner, "way", "127.0.0.1:0", server)}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	return w
}

func (w *way) addr() string { return w.proxy.Listen }

// poison adds toxics, each a JSON object as toxiproxy has them.
func (w *way) poison(toxics ...string) func() {
	return func() {
		w.t.Helper()
		for _, toxic := range toxics {
			if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// heal takes them away.
func (w *way) heal() { w.proxy.Toxics.ResetToxics(context.Background()) }
