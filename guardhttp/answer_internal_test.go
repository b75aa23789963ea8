package guardhttp

import (
	"net/http"
	"testing"
	"time"
)

// TestWaitOf: how long a server asks to be left alone, and what is no such thing.
func TestWaitOf(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name       string
		retryAfter string
		rateLimit  []string
		want       time.Duration
		asked      bool
	}{
		{name: "nothing"},
		{name: "seconds", retryAfter: "7", want: 7 * time.Second, asked: true},
		{name: "none", retryAfter: "0", asked: true},
		{name: "a date", retryAfter: "Fri, 02 Jan 2026 03:04:15 GMT", want: 10 * time.Second, asked: true},
		{name: "a date that is past", retryAfter: "Fri, 02 Jan 2026 03:04:00 GMT", asked: true},
		{name: "a number without an end", retryAfter: "99999999999", want: longestSeconds * time.Second, asked: true},
		{name: "a negative number", retryAfter: "-1"},
		{name: "no number", retryAfter: "soon"},
		{name: "a quota that is used up", rateLimit: []string{`"a";r=0;t=9`}, want: 9 * time.Second, asked: true},
		{name: "the later of two", rateLimit: []string{`"a";r=0;t=9, "b";t=30;r=0`}, want: 30 * time.Second, asked: true},
		{name: "on two lines", rateLimit: []string{`"a";r=0;t=9`, `"b";r=0;t=30;pk=:YQ==:`}, want: 30 * time.Second, asked: true},
		{name: "a quota with something left", rateLimit: []string{`"a";r=1;t=9`}},
		{name: "a quota that does not say when", rateLimit: []string{`"a";r=0`}},
		{name: "malformed", rateLimit: []string{`a;r=0;t=9`, `"a";r=x;t=9`, `"a`, `"";`, `;`, `"a";r=0;t=-9`}},
		{name: "Retry-After decides", retryAfter: "3", rateLimit: []string{`"a";r=0;t=9`}, want: 3 * time.Second, asked: true},
		{name: "unless it is nonsense", retryAfter: "soon", rateLimit: []string{`"a";r=0;t=9`}, want: 9 * time.Second, asked: true},
	} {
		header := http.Header{"Ratelimit": tt.rateLimit}
		if tt.retryAfter != "" {
			header.Set("Retry-After", tt.retryAfter)
		}
		got, asked := waitOf(&http.Response{Header: header}, at)
		if got != tt.want || asked != tt.asked {
			t.Errorf("%s: %s, %v; want %s, %v", tt.name, got, asked, tt.want, tt.asked)
		}
	}
}

// FuzzExhausted: no header makes a wait that is negative.
func FuzzExhausted(f *testing.F) {
	f.Add(`"a";r=0;t=9, "b";r=0`)
	f.Fuzz(func(t *testing.T, line string) {
		if wait, asked := exhausted([]string{line}); wait < 0 || wait > 0 && !asked {
			t.Errorf("%s, %v", wait, asked)
		}
		if wait, ok := retryAfter(line, time.Unix(0, 0)); wait < 0 && ok {
			t.Errorf("%s", wait)
		}
	})
}
