package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// A member is one replica, as the parent knows it.
type member struct {
	number  int // from 1
	process *process
	orders  *lineWriter
	heard   chan struct{} // closed when its last word was read

	mu      sync.Mutex
	last    word
	spoke   bool
	dead    bool // killed, or ended by itself
	asked   int
	waiting map[int]chan word
	first   chan struct{} // closed at the first word
}

// startMember starts a replica. It must be ended.
func startMember(ctx context.Context, path string, s start) (*member, error) {
	p, err := startProcess(ctx, path, ReplicaCommand)
	if err != nil {
		return nil, err
	}
	m := &member{
		number: s.Replica, process: p, orders: newLineWriter(p.in),
		heard: make(chan struct{}), waiting: make(map[int]chan word), first: make(chan struct{}),
	}
	go m.listen()
	if err := m.orders.write(s); err != nil {
		m.kill()
		return nil, m.wrong(err)
	}
	return m, nil
}

// listen reads what the replica says until it ends.
func (m *member) listen() {
	defer close(m.heard)
	words := json.NewDecoder(bufio.NewReader(m.process.out))
	for {
		var w word
		if words.Decode(&w) != nil {
			break
		}
		m.hear(w)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	for number, answer := range m.waiting {
		close(answer)
		delete(m.waiting, number)
	}
}

func (m *member) hear(w word) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = w
	if !m.spoke {
		m.spoke = true
		close(m.first)
	}
	if answer, ok := m.waiting[w.Number]; ok {
		answer <- w
		delete(m.waiting, w.Number)
	}
}

// ready waits until the replica has spoken.
func (m *member) ready(ctx context.Context) error {
	select {
	case <-m.first:
	case <-m.heard:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if last, dead := m.latest(); last.Error != "" || dead {
		return m.wrong(nil)
	}
	return nil
}

// latest is the last word, and whether there will be no more.
func (m *member) latest() (w word, dead bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, m.dead
}

// reroute leads the replica's way to the downstream elsewhere.
func (m *member) reroute(via string) error {
	if err := m.orders.write(order{Do: doReroute, Via: via}); err != nil {
		return m.wrong(err)
	}
	return nil
}

// ask sends an order and waits for the answer.
func (m *member) ask(ctx context.Context, do string) (word, error) {
	answer := make(chan word, 1)
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return word{}, m.wrong(nil)
	}
	m.asked++
	number := m.asked
	m.waiting[number] = answer
	m.mu.Unlock()
	if err := m.orders.write(order{Do: do, Number: number}); err != nil {
		return word{}, m.wrong(err)
	}
	select {
	case w, ok := <-answer:
		if !ok {
			return word{}, m.wrong(nil)
		}
		return w, nil
	case <-ctx.Done():
		return word{}, context.Cause(ctx)
	}
}

// kill ends the replica as a crash does. Its last word stays.
func (m *member) kill() {
	m.process.kill()
	<-m.heard
	m.process.release()
}

// wrong is the error of a replica that does not do what it should.
func (m *member) wrong(err error) error {
	last, _ := m.latest()
	for _, said := range []string{last.Error, m.process.errors.String()} {
		if said != "" {
			err = errors.Join(err, errors.New(said))
		}
	}
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return fmt.Errorf("replica %d: %w", m.number, err)
}
