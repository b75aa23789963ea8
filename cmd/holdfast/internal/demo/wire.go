package demo

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/holdfast-go/holdfast/domain"
)

// The first line that a replica gets is its start; the others are orders. All
// that it says are words.

// A start says who a replica is and where everything is.
type start struct {
	Replica    int    `json:"replica"` // from 1
	Scene      scene  `json:"scene"`
	Downstream string `json:"downstream"` // host:port
	Fleet      string `json:"fleet"`      // the namespace in the store
	Store      store  `json:"store"`
}

// A store says how to reach Redis.
type store struct {
	Addr     string `json:"addr"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	DB       int    `json:"db,omitempty"`
	Protocol int    `json:"protocol,omitempty"`
}

// An order is what the parent wants of a replica.
type order struct {
	Do     string `json:"do"`
	Number int    `json:"number,omitempty"` // doTally, doStop: stands in the answer
	Via    string `json:"via,omitempty"`    // doReroute: the way to the downstream from now on
}

// The orders.
const (
	doReroute = "reroute"
	doTally   = "tally" // say what was counted up to now
	doStop    = "stop"  // end all calls, leave the fleet, say what was counted, and end
)

// A word is what a replica says: by itself, often, or in answer to an order.
type word struct {
	Number int          `json:"number,omitempty"` // of the order that it answers
	State  domain.State `json:"state"`            // of the breaker, as a call would meet it
	Scope  domain.Scope `json:"scope"`            // whose layer that is
	By     string       `json:"by,omitempty"`     // the operator whose order that is
	Reason string       `json:"reason,omitempty"` // and theirs
	Tally  tally        `json:"tally"`
	Error  string       `json:"error,omitempty"` // why the replica cannot go on
}

// A lineWriter writes values as lines of JSON. It is safe for concurrent use.
type lineWriter struct {
	mu sync.Mutex
	to *json.Encoder
}

func newLineWriter(w io.Writer) *lineWriter { return &lineWriter{to: json.NewEncoder(w)} }

func (l *lineWriter) write(value any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Encode(value)
}
