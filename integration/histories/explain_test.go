package histories

import "fmt"

// explain says in words where the history of a key goes wrong: it follows the
// server's time alone, up to the first reply that the rules would not give.
func (h *history) explain(key string) string {
	m, ops := h.of(key)
	may, checked := m.porcupine().Init(), m.porcupine()
	for i, op := range ops {
		ok, next := checked.Step(may, op.Input, op.Output)
		if !ok {
			return fmt.Sprintf("operation %d by the server's time is %s; the store was in one of %s",
				i+1, describe(op.Input, op.Output), checked.DescribeState(may))
		}
		may = next
	}
	return "by the server's time alone all is well: the order of calls and returns is not"
}
