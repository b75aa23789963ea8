package redisstore

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// newSlowWay is a way to a server on which each answer takes so long.
func newSlowWay(t *testing.T, server string, takes time.Duration) (addr string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	serveUntilEnd(t, listener, func(down net.Conn) {
		up, err := new(net.Dialer).DialContext(t.Context(), "tcp", server)
		if err != nil {
			return
		}
		defer up.Close()
		go func() {
			defer down.Close()
			buffer := make([]byte, 1<<16)
			for {
				n, err := up.Read(buffer)
				if err != nil {
					return
				}
				<-time.After(takes)
				if _, err := down.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
		_, _ = io.Copy(up, down)
	})
	return listener.Addr().String()
}

// A call that has to connect first makes several exchanges, each of which is in time. It
// ends with its context all the same: here the second of them does not end in it.
func TestConnectingEndsInTime(t *testing.T) {
	t.Parallel()
	const exchange, patience = 400 * time.Millisecond, 500 * time.Millisecond
	client := connect(t, newSlowWay(t, miniredis.RunT(t).Addr(), exchange))
	s := New(client, newFleet(), Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begun := time.Now()
	got := takeWith(ctx, s, ruleOf(t, 10, 10), takeOne())
	if took := time.Since(begun); took > 2*exchange-50*time.Millisecond {
		t.Errorf("it took %v; want %v", took, patience)
	}
	if !errors.Is(storeError(t, got.Err), context.DeadlineExceeded) {
		t.Errorf("Take = %+v; want its deadline", got)
	}
	for end := time.Now().Add(10 * time.Second); len(s.link.stranded) > 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the call is still under way")
		}
	}
}

// However many calls are left behind, those of a plain client go on: they end by themselves.
func TestConnectingBesideManyLeftBehind(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		s := New(client, newFleet(), Options{})
		for range strandedMax {
			s.link.stranded <- struct{}{}
		}
		if got := takeWith(t.Context(), s, ruleOf(t, 10, 10), takeOne()); got.Err != nil || got.Granted != 1 {
			t.Errorf("Take = %+v; want it granted", got)
		}
	})
}
