package demo

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The headers of a request. They say who calls, for the record: the downstream
// treats all alike.
const (
	headerReplica = "Holdfast-Replica"
	headerProbe   = "Holdfast-Probe"
	headerEpoch   = "Holdfast-Epoch"
)

// serviceTime is how long the downstream works on a request.
const serviceTime = 3 * time.Millisecond

// A downstream is the service that the fleet calls: a real HTTP server that
// notes when each request arrives, before it does anything else. It fails
// everything when told to, and can keep the next probe waiting.
type downstream struct {
	clock    clock
	listener net.Listener
	server   *http.Server
	ended    chan struct{}

	mu       sync.Mutex
	arrivals []arrival
	counts   []int64 // arrivals by replica
	failing  bool
	trap     chan int // takes the next probe's place in arrivals; nil = probes are served
}

// startDownstream starts one for so many replicas. It must be closed.
func startDownstream(ctx context.Context, c clock, replicas int) (*downstream, error) {
	listener, err := listenLocally(ctx)
	if err != nil {
		return nil, err
	}
	d := &downstream{clock: c, listener: listener, ended: make(chan struct{}), counts: make([]int64, replicas)}
	d.server = &http.Server{Handler: http.HandlerFunc(d.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(d.ended)
		_ = d.server.Serve(listener) // ends by close
	}()
	return d, nil
}

// listenLocally takes a free port that only this machine can reach.
func listenLocally(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
}

func (d *downstream) addr() string { return d.listener.Addr().String() }

// close ends the server and everything it serves.
func (d *downstream) close() error {
	err := d.server.Close()
	<-d.ended
	return err
}

// setFailing makes it fail everything, or be well again.
func (d *downstream) setFailing(failing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = failing
}

// trapProbe keeps the next probe waiting until its caller gives up, and sends
// its place among the arrivals.
func (d *downstream) trapProbe() <-chan int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = make(chan int, 1)
	return d.trap
}

// untrap ends the waiting for a probe that never came.
func (d *downstream) untrap() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = nil
}

func (d *downstream) serve(w http.ResponseWriter, r *http.Request) {
	place, trapped, failing := d.arrive(r)
	defer d.leave(place)
	if trapped {
		<-r.Context().Done()
		return
	}
	if pause(r.Context(), serviceTime) != nil {
		return
	}
	if failing {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// arrive notes a request.
func (d *downstream) arrive(r *http.Request) (place int, trapped, failing bool) {
	replica, _ := strconv.Atoi(r.Header.Get(headerReplica))
	epoch, _ := strconv.ParseUint(r.Header.Get(headerEpoch), 10, 64)
	probe := r.Header.Get(headerProbe) != ""
	d.mu.Lock()
	defer d.mu.Unlock()
	place = len(d.arrivals)
	d.arrivals = append(d.arrivals, arrival{at: d.clock.now(), replica: replica, probe: probe, epoch: epoch})
	if replica >= 1 && replica <= len(d.counts) {
		d.counts[replica-1]++
	}
	if probe && d.trap != nil {
		d.trap <- place
		d.trap = nil
		trapped = true
	}
	return place, trapped, d.failing
}

func (d *downstream) leave(place int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arrivals[place].done = d.clock.now()
}

// arrival returns the one of that place, as it is now.
func (d *downstream) arrival(place int) arrival {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.arrivals[place]
}

// all returns the arrivals so far, in order.
func (d *downstream) all() []arrival {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.arrivals)
}

// admitted returns how many arrived so far from each replica.
func (d *downstream) admitted() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.counts)
}
