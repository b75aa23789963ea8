package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// What a terminal understands. While a screen is up, the cursor is hidden and
// long lines are cut instead of folded, so that lines can be counted.
const (
	terminalTaken = "\x1b[?25l\x1b[?7l"
	terminalGiven = "\x1b[?25h\x1b[?7h"
	eraseBelow    = "\x1b[J"
)

const (
	rowsShown  = 16          // replicas in the table; there may be more
	ratesOver  = time.Second // what a rate is the mean of
	tableWidth = 78
)

// A screen is the table under the lines. A nil screen shows nothing.
type screen struct {
	out     io.Writer
	story   *story
	paint   func(with, text string) string
	height  int // lines drawn, above the cursor
	samples []sample
}

// A sample is all counts at one time.
type sample struct {
	at       time.Duration
	admitted []int64 // at the downstream
	words    []word  // of the replicas
	dead     []bool
}

func newScreen(out io.Writer, s *story, color bool) *screen {
	_, _ = io.WriteString(out, terminalTaken)
	c := &screen{out: out, story: s, paint: painter(color)}
	c.sample()
	return c
}

// sample looks at everything once, and forgets what is older than rates need.
func (c *screen) sample() {
	if c == nil {
		return
	}
	now := sample{at: c.story.cast.clock.now(), admitted: c.story.cast.downstream.admitted()}
	for _, m := range c.story.cast.members {
		w, dead := m.latest()
		now.words, now.dead = append(now.words, w), append(now.dead, dead)
	}
	c.samples = append(c.samples, now)
	for len(c.samples) > 2 && now.at-c.samples[1].at >= ratesOver {
		c.samples = c.samples[1:]
	}
}

// drawn is the table, to be written below the cursor.
func (c *screen) drawn() string {
	if c == nil {
		return ""
	}
	lines := c.table()
	c.height = len(lines)
	return strings.Join(lines, "\n") + "\n"
}

// erased takes it away.
func (c *screen) erased() string {
	if c == nil || c.height == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r%s", c.height, eraseBelow)
}

// restore gives the terminal back as it was.
func (c *screen) restore() {
	if c != nil {
		_, _ = io.WriteString(c.out, terminalGiven)
	}
}

func (c *screen) table() []string {
	s := c.story
	history, _ := s.cast.watcher.all()
	state := stateOf(history)
	lines := []string{
		strings.Repeat("-", tableWidth),
		fmt.Sprintf("%.1f of %.0f s    the fleet's breaker: %s",
			s.time().Seconds(), s.options.Duration.Seconds(), c.paint(colorOf(state), state.String())),
		c.row("replica", "breaker", "", "admitted/s", "limited/s", "refused/s", "failed/s"),
	}
	var all [4]float64
	for i := range s.cast.members {
		rates := c.rates(i)
		for k := range all {
			all[k] += rates[k]
		}
		if i < rowsShown {
			state, color := c.stateOf(i)
			lines = append(lines, c.row(strconv.Itoa(i+1), state, color, texts(rates)...))
		}
	}
	if more := len(s.cast.members) - rowsShown; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return append(lines, c.row("all", "", "", texts(all)...))
}

// row pads before it colours: a terminal counts no colours, fmt does.
func (c *screen) row(name, state, color string, numbers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s", name)
	state = fmt.Sprintf("%-21s", state)
	if color != "" {
		state = c.paint(color, state)
	}
	b.WriteString(state)
	for _, n := range numbers {
		fmt.Fprintf(&b, "%12s", n)
	}
	return b.String()
}

func texts(rates [4]float64) []string {
	all := make([]string, len(rates))
	for i, r := range rates {
		all[i] = fmt.Sprintf("%.0f", r)
	}
	return all
}

// rates are a replica's arrivals at the downstream, refusals by the limit and by
// the breaker, and failures, a second.
func (c *screen) rates(i int) [4]float64 {
	old, now := c.samples[0], c.samples[len(c.samples)-1]
	took := (now.at - old.at).Seconds()
	if took == 0 || now.dead[i] {
		return [4]float64{}
	}
	was, is := old.words[i].Tally, now.words[i].Tally
	return [4]float64{
		float64(now.admitted[i]-old.admitted[i]) / took,
		float64(is.Limited-was.Limited) / took,
		float64(is.Refused-was.Refused) / took,
		float64(is.Failed-was.Failed) / took,
	}
}

// stateOf says what a call of a replica would meet.
func (c *screen) stateOf(i int) (text, color string) {
	now := c.samples[len(c.samples)-1]
	w := now.words[i]
	switch {
	case int64(i+1) == c.story.killed.Load():
		return "killed", dim
	case now.dead[i]:
		return "ended", dim
	case w.Scope == domain.ScopeOperator:
		return w.State.String() + ", by order", colorOf(w.State)
	case w.State == domain.StateClosed:
		return w.State.String(), colorOf(w.State)
	case w.Scope == domain.ScopeReplica:
		return w.State.String() + ", its own", colorOf(w.State)
	default:
		return w.State.String(), colorOf(w.State)
	}
}

func colorOf(s domain.State) string {
	switch s {
	case domain.StateClosed:
		return green
	case domain.StateHalfOpen:
		return yellow
	case domain.StateOpen:
		return red
	default:
		return plain
	}
}
