package histories

import (
	"syscall"
	"time"
)

// repliesAreLost: as many as callers can bear.
func repliesAreLost(f *fleet) {
	f.lose(40, 20)
	f.await(100)
}

// killed: a process, often; the server, now and then, with all that it knew.
func killed(f *fleet) {
	f.await(100)
	f.killWorker(f.rng.IntN(workers))
	f.await(200)
	if f.rng.IntN(2) > 0 {
		return
	}
	from := monotonic()
	f.loseServer()
	at := serverNow() // later than all that it did, earlier than all that the next one does
	if err := f.server.Restart(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.history.lost(at, from, monotonic(), loss{all: true})
	f.lead(f.server.Addr())
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

// lead leads all ways to another server.
func (f *fleet) lead(server string) {
	for _, w := range f.ways {
		w.lead(server)
	}
}

// stopped: the server, for longer than callers wait, and a process, for longer
// than it would have waited.
func stopped(f *fleet) {
	const length = timeout + timeout/2 // of the fault
	f.await(150)
	if err := f.server.Pause(); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(length)
	if err := f.server.Resume(); err != nil {
		f.t.Fatal(err)
	}
	f.await(150)
	p := f.workers[f.rng.IntN(workers)].cmd.Process
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(length)
	if err := p.Signal(syscall.SIGCONT); err != nil {
		f.t.Fatal(err)
	}
}
