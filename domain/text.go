package domain

import (
	"strconv"
	"strings"
	"time"
)

// A form builds the text form of one policy: kind(name=value, …), without the
// fields that have their zero value.
type form struct {
	kind   string
	fields []string
}

func (f *form) bare(value string) { f.fields = append(f.fields, value) }

func (f *form) text(name, value string) {
	if value != "" {
		f.bare(name + "=" + value)
	}
}

func (f *form) int(name string, n int64) {
	if n != 0 {
		f.text(name, strconv.FormatInt(n, 10))
	}
}

func (f *form) float(name string, x float64) {
	if x != 0 {
		f.text(name, strconv.FormatFloat(x, 'g', -1, 64))
	}
}

func (f *form) duration(name string, d time.Duration) {
	if d != 0 {
		f.text(name, durationText(d))
	}
}

func (f *form) flag(name string, on bool) {
	if on {
		f.text(name, "true")
	}
}

func (f *form) String() string {
	return f.kind + "(" + strings.Join(f.fields, ", ") + ")"
}

// durationText is d as Go writes it, without the units that are zero at its
// end: "2m", not "2m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
