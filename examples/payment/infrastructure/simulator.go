package infrastructure

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// A Simulator is a payment provider to try things with. It declines payments above
// 1,000,000 cents, and fails when it is told to. It is an http.Handler.
type Simulator struct {
	mux     *http.ServeMux
	failing atomic.Bool
	calls   atomic.Int64

	mu    sync.Mutex
	made  map[string]string // by reference
	since int64
}

// remembered is how many payments a simulator remembers at most.
const remembered = 100_000

// NewSimulator returns a provider that works.
func NewSimulator() *Simulator {
	s := &Simulator{mux: http.NewServeMux(), made: make(map[string]string)}
	s.mux.HandleFunc("POST /charges", s.charge)
	s.mux.HandleFunc("GET /charges/{reference}", s.find)
	return s
}

// Fail has every call fail, or none.
func (s *Simulator) Fail(fail bool) { s.failing.Store(fail) }

// Calls is how often it was called.
func (s *Simulator) Calls() int64 { return s.calls.Load() }

func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	if s.failing.Load() {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Simulator) charge(w http.ResponseWriter, r *http.Request) {
	var order charge
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&order); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := charge{Reference: order.Reference}
	if order.Cents > 1_000_000 {
		answer.Declined = "above the limit of the card"
	} else {
		answer.Number = s.number(order.Reference)
	}
	reply(w, answer)
}

// number is that of a payment, the same however often it is asked for.
func (s *Simulator) number(reference string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number, ok := s.made[reference]; ok {
		return number
	}
	if len(s.made) >= remembered {
		clear(s.made)
	}
	s.since++
	number := "P" + strconv.FormatInt(s.since, 10)
	s.made[reference] = number
	return number
}

func (s *Simulator) find(w http.ResponseWriter, r *http.Request) {
	reference := r.PathValue("reference")
	s.mu.Lock()
	number, ok := s.made[reference]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	reply(w, charge{Reference: reference, Number: number})
}

func reply(w http.ResponseWriter, answer charge) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) //nolint:errchkjson // the client went away
}
