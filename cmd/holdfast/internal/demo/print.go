package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// WriteJSON writes the verdict as one JSON object. What was not measured is
// null.
func (v Verdict) WriteJSON(w io.Writer) error {
	type check struct {
		Name     string   `json:"name"`
		Bound    float64  `json:"bound"`
		Measured *float64 `json:"measured"`
		Unit     string   `json:"unit"`
		OK       bool     `json:"ok"`
	}
	out := struct {
		Verdict string  `json:"verdict"`
		Checks  []check `json:"checks"`
	}{Verdict: v.word(), Checks: make([]check, 0, len(v.Checks))}
	for _, c := range v.Checks {
		line := check{c.Name, c.Bound, nil, c.Unit, c.OK}
		if !math.IsNaN(c.Measured) {
			line.Measured = &c.Measured
		}
		out.Checks = append(out.Checks, line)
	}
	return json.NewEncoder(w).Encode(out)
}

// WriteText writes the verdict for a person, a line for each check.
func (v Verdict) WriteText(w io.Writer, color bool) error {
	var b strings.Builder
	paint := painter(color)
	b.WriteString("what was measured, and what it may be at most:\n")
	for _, c := range v.Checks {
		mark := paint(green, "ok  ")
		if !c.OK {
			mark = paint(red, "FAIL")
		}
		fmt.Fprintf(&b, "  %s  %-46s %9s ≤ %s %s\n", mark, c.Name, number(c.Measured), number(c.Bound), c.Unit)
	}
	verdict := paint(green, v.word())
	if !v.Pass() {
		verdict = paint(red, v.word())
	}
	fmt.Fprintf(&b, "verdict: %s\n", verdict)
	_, err := io.WriteString(w, b.String())
	return err
}

func (v Verdict) word() string {
	if v.Pass() {
		return "pass"
	}
	return "fail"
}

// number is x without digits that say nothing.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return "not seen"
	case x == math.Trunc(x):
		return strconv.FormatFloat(x, 'f', 0, 64)
	case math.Abs(x) < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	default:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
}
