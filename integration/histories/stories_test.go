package histories

import (
	"syscall"
	"time"
)

// A story is what goes wrong in one round.
type story func(f *fleet)

func stories() []story { return []story{repliesAreLost, killed, stopped, failOver} }

// repliesAreLost: as many as callers can bear, and as many connections reset.
func repliesAreLost(f *fleet) {
	f.lose(40, 20)
	f.await(400)
	f.lose(5, 2) // a few are lost in all rounds
}

// killed: a process, and the server, with all that it knew.
func killed(f *fleet) {
	f.await(100)
	f.killWorker(f.rng.IntN(workers))
	f.await(100)
	from := monotonic()
	f.loseServer()
	at := serverNow() // later than all that it did, earlier than all that the next one does
	if err := f.server.Restart(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.history.lost(at, from, monotonic(), loss{all: true})
	f.lead()
	f.await(100)
	f.killWorker(f.rng.IntN(workers))
	f.await(100)
}

// killWorker kills a process in the middle of what it does, and starts another.
func (f *fleet) killWorker(i int) {
	f.workers[i].kill()
	f.ended = append(f.ended, f.workers[i])
	f.startWorker(i)
}

// loseServer kills the server. What it has executed is answered before: else its
// last replies might rest on a decision of which nobody knows the time. What it
// was not asked yet is never executed.
func (f *fleet) loseServer() {
	for _, w := range f.ways {
		w.leave(f.t)
	}
	f.server.Kill()
}

// lead leads all ways to the server.
func (f *fleet) lead() {
	for _, w := range f.ways {
		w.lead(f.server.Addr())
	}
}

// stopped: the server, for longer than callers wait, and a process, for longer
// than it would have waited.
func stopped(f *fleet) {
	const length = timeout + timeout/2 // of the fault
	f.await(100)
	if err := f.server.Pause(); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(length)
	if err := f.server.Resume(); err != nil {
		f.t.Fatal(err)
	}
	f.await(100)
	p := f.workers[f.rng.IntN(workers)].cmd.Process
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(length)
	if err := p.Signal(syscall.SIGCONT); err != nil {
		f.t.Fatal(err)
	}
	f.await(100)
}
