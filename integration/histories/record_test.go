package histories

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
)

// A line is one thing that a process wrote down, in the moment: it may be
// killed in the next one. There are three kinds. The first, with Call, says what
// is about to be asked; one with Conn, that the request goes out there; the
// last, with Return, what came of it.
type line struct {
	Op int `json:"op"` // the process's own count

	Call     int64              `json:"call,omitempty"`
	Due      int64              `json:"due,omitempty"`       // when the caller gives up
	DueMicro int64              `json:"due_micro,omitempty"` // the same by the clock that servers read
	Takes    []port.TakeRequest `json:"takes,omitempty"`     // one of these three
	Report   *port.Report       `json:"report,omitempty"`
	Probe    *port.ProbeRequest `json:"probe,omitempty"`

	Conn uint64 `json:"conn,omitempty"`

	Return  int64            `json:"return,omitempty"`
	Error   string           `json:"error,omitempty"`    // the outcome is unknown
	AtMicro int64            `json:"at_micro,omitempty"` // when the server decided
	Taken   []port.TakeReply `json:"taken,omitempty"`
	View    *port.View       `json:"view,omitempty"`
	Probed  *port.ProbeReply `json:"probed,omitempty"`
}

// A call is all that was written down about one.
type call struct {
	asked line
	conns []uint64 // on which it was sent, in order
	got   *line    // nil: the process did not live to see it
}

// known reports whether the caller was answered.
func (c call) known() bool { return c.got != nil && c.got.Error == "" }

// heard is what the last call took by which the process heard the server's clock,
// given what that was before: it hears it in an answer, and in being told that a
// request was too late, after which it sends it once more.
func (c call) heard(before time.Duration) time.Duration {
	switch {
	case c.known():
		return time.Duration(c.got.Return - c.asked.Call)
	case len(c.conns) < 2:
		return before
	case c.got == nil:
		return max(before, timeout)
	default:
		return max(before, time.Duration(c.got.Return-c.asked.Call))
	}
}

// isWarm reports whether l was asked for no other reason than to hear the clock.
func (l line) isWarm() bool { return len(l.Takes) > 0 && l.Takes[0].Bucket.Name == warmBucket }

// readLog reads what one process wrote down. What it was about to write when it
// was killed is not there, or not whole.
func readLog(t *testing.T, path string) []call {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var calls []call
	for lines := bufio.NewReader(file); ; {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return calls
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("%s: %v: %s", path, err, text)
		}
		switch {
		case l.Call != 0:
			calls = append(calls, call{asked: l})
		case l.Op != len(calls)-1:
			t.Fatalf("%s: %s: this is call %d", path, text, len(calls)-1)
		case l.Conn != 0:
			calls[l.Op].conns = append(calls[l.Op].conns, l.Conn)
		default:
			calls[l.Op].got = &l
		}
	}
}
