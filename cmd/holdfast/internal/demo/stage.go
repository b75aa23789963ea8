package demo

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// drawEvery is how often a live screen changes.
const drawEvery = 100 * time.Millisecond

// A Stage is where a run is shown while it lasts: a line for each thing that
// happens, and on a terminal a table of the replicas below them.
type Stage struct {
	out   io.Writer
	live  bool
	color bool

	mu     sync.Mutex
	screen *screen // nil: lines only
	shown  int     // transitions told
	once   sync.Once
	stop   chan struct{}
	wait   sync.WaitGroup
}

// NewStage returns a stage that writes to out: live for a terminal, lines only
// elsewhere.
func NewStage(out io.Writer, live, color bool) *Stage {
	return &Stage{out: out, live: live, color: color, stop: make(chan struct{})}
}

// open raises the curtain. close must follow.
func (g *Stage) open(s *story) {
	o := s.options
	g.line(fmt.Sprintf("%d replicas, one limit of %d/s with a burst of %d, one breaker; store: %s; about %s",
		o.Replicas, o.Rate, o.Burst, s.cast.store.name, o.Duration))
	if g.live {
		g.screen = newScreen(g.out, s, g.color)
	}
	g.wait.Go(func() { g.follow(s) })
}

// follow tells the breaker's transitions as they come, and keeps the table
// fresh.
func (g *Stage) follow(s *story) {
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		_, changed := s.cast.watcher.all()
		g.tellNew(s)
		select {
		case <-g.stop:
			return
		case <-changed:
		case <-tick.C:
			g.redraw()
		}
	}
}

// tellNew tells the transitions that were not told yet. The first is the
// breaker's beginning, which is no news.
func (g *Stage) tellNew(s *story) {
	g.mu.Lock()
	defer g.mu.Unlock()
	history, _ := s.cast.watcher.all()
	for _, t := range history[min(max(g.shown, 1), len(history)):] {
		g.lineLocked(timed(t.at-s.began, "the fleet's breaker is "+t.state.String()))
	}
	g.shown = max(g.shown, len(history))
}

// tell says what happens now, after what happened before.
func (g *Stage) tell(s *story, what string) {
	g.tellNew(s)
	g.line(timed(s.time(), what))
}

func timed(at time.Duration, what string) string {
	return fmt.Sprintf("%6.2fs  %s", at.Seconds(), what)
}

func (g *Stage) line(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lineLocked(text)
}

// lineLocked requires that g.mu is held.
func (g *Stage) lineLocked(text string) {
	_, _ = io.WriteString(g.out, g.screen.erased()+text+"\n"+g.screen.drawn())
}

func (g *Stage) redraw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.screen.sample()
	_, _ = io.WriteString(g.out, g.screen.erased()+g.screen.drawn())
}

// close leaves the last table standing and gives the terminal back. Closing
// twice is as closing once.
func (g *Stage) close() {
	g.once.Do(func() {
		close(g.stop)
		g.wait.Wait()
		g.screen.restore()
	})
}
