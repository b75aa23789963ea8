package redisstore

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// Answers that make no sense are errors, and never panics: another program may
// answer under this address, or another version of the scripts.
func TestRepliesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	nonsense := map[string]string{
		"a word":               "+OK\r\n",
		"an integer":           ":1\r\n",
		"a string":             "$3\r\nfoo\r\n",
		"nothing":              "$-1\r\n",
		"no array":             "*-1\r\n",
		"an empty array":       "*0\r\n",
		"too short":            "*2\r\n:1\r\n:1795000000000000\r\n",
		"strings in an array":  "*3\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n",
		"an array in an array": "*3\r\n:1\r\n:1\r\n*1\r\n:0\r\n",
		"nil in an array":      "*3\r\n:1\r\n$-1\r\n:0\r\n",
		"an error in an array": "*3\r\n:1\r\n-ERR no\r\n:0\r\n",
		"another schema":       integers(2, 1795000000000000, 0, 0, 0, 1, 1, 0, 0, 0),
		"schema 0":             integers(0, 1795000000000000, 0, 0, 0, 1, 1, 0, 0, 0),
		"a state too high":     integers(1, 1795000000000000, 9, 0, 9, 0, 0, 0, 0, 0),
		"a negative state":     integers(1, 1795000000000000, -1, -1, -1, 0, 0, 0, 0, 0),
		"a short answer":       integers(1, 1795000000000000, 0),
		"a time before 1970":   integers(1, -5, 0),
		"a time beyond 2^53":   integers(1, 1<<53+1, 0, 0, 0, 1, 1, 0, 0, 0),
		"more than was asked":  integers(1, 1795000000000000, 0, 0, 0, 2, 9, 0, 0),
		"less than nothing":    integers(1, 1795000000000000, 0, 0, 0, -1, 9, 1, 0),
		"a wait without end":   integers(1, 1795000000000000, 0, 0, 0, 0, 0, math.MaxInt64, 0),
		"a wait for the past":  integers(1, 1795000000000000, 0, 0, 0, 0, 0, -2, 0),
		"a denial for nothing": integers(1, 1795000000000000, 0, 0, 0, 0, 0, 0, 0),
		"a band too many":      integers(1, 1795000000000000, 0, 0, 0, 0, 0, 5, 4),
		"a band below none":    integers(1, 1795000000000000, 0, 0, 0, 0, 0, 5, -1),
		"an answer and more":   integers(1, 1795000000000000, 0, 0, 0, 1, 9, 0, 0, 0),
		"a lease while closed": integers(1, 1795000000000000, 0, 7, 0, 0, 0, 0, 1, 5),
		"a negative epoch":     integers(1, 1795000000000000, 0, -7, 0, 0, 0, 0, 0, 0),
		"open without end":     integers(1, 1795000000000000, 0, 7, 2, math.MaxInt64, 0, 0, 0, 0),
	}
	for name, reply := range nonsense {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFake(t, func([]string) string { return reply })
			s := New(connect(t, server.addr), newFleet(), Options{})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			for op, err := range callOnce(ctx, t, s) {
				if op == "beat" && (name == "a short answer" || name == "strings in an array") {
					continue // to which it makes sense
				}
				if said := storeError(t, err); said.Entity || said.Config {
					t.Errorf("%s: %+v; want an outage", op, said)
				}
				if op != "read" && !errors.Is(err, ErrReply) && !strings.HasPrefix(reply, "$-1") && !strings.HasPrefix(reply, "*-1") && !strings.Contains(reply, "-ERR") {
					t.Errorf("%s: %v; want ErrReply", op, err)
				}
			}
		})
	}
}

// Bytes that are not of the protocol, and answers that are cut off.
func TestRepliesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"another protocol": "HTTP/1.1 400 Bad Request\r\n\r\n",
		"hung up":          "",
		"an array cut off": "*100000\r\n:1\r\n",
		"a negative size":  "$-7\r\n",
		"no number":        ":x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFake(t, func([]string) string { return reply })
			s := New(connect(t, server.addr), newFleet(), Options{})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			got := takeWith(ctx, s, ruleOf(t, 10, 10), takeOne())
			if said := storeError(t, got.Err); said.Entity || said.Config || got.Granted != 0 {
				t.Errorf("Take = %+v; want an outage", got)
			}
		})
	}
}

// A view that cannot be is read as none; what a newer version pushes is left to
// the next read.
func TestPushesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]port.View{
		"1 7 2 30000000 0 0 0": {Epoch: 7, State: domain.StateOpen, For: 30 * time.Second},
		"1 7 1 5 0 0 8":        {Epoch: 7, State: domain.StateHalfOpen, For: 5 * time.Microsecond},
		"1 7 0 0 1 9 0":        {Epoch: 7, Fresh: true, Order: breaker.Order{Serial: 9}},
		"1 0 0 0 0 9 0":        {Order: breaker.Order{Serial: 9}},
		"1 7 3 0 0 0 0":        {},
		"1 7 0 5 0 0 80":       {Epoch: 7, For: 5 * time.Microsecond, Base: 80},
		"1 0 2 5 0 0 0":        {},
	} {
		if got, err := readPush(payload); got != want || err != nil {
			t.Errorf("readPush(%q) = %+v, %v; want %+v", payload, got, err, want)
		}
	}
	for _, payload := range []string{"", "1", "2 7 2 5 0 0 0", "1 7 2 5 0 0", "1 7 2 5 0 0 0 0", "1 x 2 5 0 0 0", "1 7 2 99999999999999999999 0 0 0", "1 7 2 9223372036854775807 0 0 0", "1 7 2 -5 0 0 0", "1 -7 2 0 0 0 0", "1 7 2 5 0 -1 0", "poison"} {
		if got, err := readPush(payload); err == nil {
			t.Errorf("readPush(%q) = %+v; want an error", payload, got)
		}
	}
}

// integers is an array of them in the bytes of the protocol.
func integers(n ...int64) string {
	var b strings.Builder
	b.WriteString("*" + strconv.Itoa(len(n)) + "\r\n")
	for _, x := range n {
		b.WriteString(":" + strconv.FormatInt(x, 10) + "\r\n")
	}
	return b.String()
}
