package demo

// The colours of a terminal.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	dim    = "\x1b[2m"
	plain  = "\x1b[0m"
)

// painter returns what colours a text, or leaves it as it is.
func painter(color bool) func(with, text string) string {
	if !color {
		return func(_, text string) string { return text }
	}
	return func(with, text string) string { return with + text + plain }
}
