package declare

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	hold "github.com/holdfast-go/holdfast/domain"
)

// older reads an older directive, such as //holdfast:retry(max_retries=3): what package
// compat does for code, with the same numbers where none are given.
func (r *reader) older(d directive) []hold.Policy {
	values := r.arguments(d, map[string][]string{
		retry:          {"max_retries", "initial_interval_ms", "max_interval_ms", "multiplier"},
		circuitBreaker: {"name", "failure_threshold", "success_threshold", "timeout_ms"},
		rateLimited:    {"rps", "burst"},
	}[d.name])
	if values == nil {
		return nil
	}
	var p hold.Policy
	switch d.name {
	case retry:
		p = hold.Retry{
			MaxAttempts: int(values.whole("max_retries", 3)) + 1,
			Backoff: hold.Backoff{
				Initial: values.milliseconds("initial_interval_ms", 500), Max: values.milliseconds("max_interval_ms", 30_000),
				Multiplier: values.number("multiplier", 2), Jitter: hold.PlusMinus(0.5),
			},
			MaxElapsed: time.Minute,
		}
	case circuitBreaker:
		open := values.milliseconds("timeout_ms", 30_000)
		p = hold.CircuitBreaker{
			Name:             values.word("name"),
			FailureThreshold: int(values.whole("failure_threshold", 5)), SuccessThreshold: int(values.whole("success_threshold", 3)),
			RecoveryTimeout: open, MaxRecoveryTimeout: open,
		}
	default:
		p = hold.RateLimit{Limit: hold.PerSecond(values.whole("rps", 100)).WithBurst(values.whole("burst", 10))}
	}
	if values.wrong {
		return nil
	}
	if err := p.Validate(); err != nil {
		r.problemf(d.pos, "%v", err)
		return nil
	}
	r.warnf(d.pos, "%s%s is deprecated; write %s%s %s", mark, d.name, mark, resilient, p)
	return []hold.Policy{p}
}

// An argument is a value in parentheses, and the character where it begins.
type argument struct {
	value  string
	column int
}

// arguments are those of an older directive, by name.
type arguments struct {
	by    map[string]argument
	in    text
	r     *reader
	wrong bool
}

// arguments reads "(name=value, …)", or nothing; it is nil where that is not what stands
// there.
func (r *reader) arguments(d directive, names []string) *arguments {
	found := &arguments{by: make(map[string]argument), in: d.text, r: r}
	inside := strings.TrimSpace(d.said)
	if inside == "" {
		return found
	}
	open := strings.IndexByte(d.said, '(')
	if inside[0] != '(' || !strings.HasSuffix(inside, ")") {
		r.problemf(d.where, "%s%s has its values in parentheses: (%s=…)", mark, d.name, names[0])
		return nil
	}
	inside = inside[1 : len(inside)-1]
	column := utf8.RuneCountInString(d.said[:open]) + 2
	for part := range strings.SplitSeq(inside, ",") {
		name, value, given := strings.Cut(part, "=")
		at := column + utf8.RuneCountInString(name) - utf8.RuneCountInString(strings.TrimLeft(name, " \t"))
		valueAt := column + utf8.RuneCountInString(name) + 1 +
			utf8.RuneCountInString(value) - utf8.RuneCountInString(strings.TrimLeft(value, " \t"))
		column += utf8.RuneCountInString(part) + 1
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		_, twice := found.by[name]
		switch {
		case name == "" && !given && strings.TrimSpace(inside) == "":
			continue // ()
		case !slices.Contains(names, name):
			r.problemf(d.column(at), "%q is no value of %s%s; expected one of %s", name, mark, d.name, strings.Join(names, ", "))
			return nil
		case !given || value == "":
			r.problemf(d.column(at), "%s has no value", name)
			return nil
		case twice:
			r.problemf(d.column(at), "%s stands twice", name)
			return nil
		}
		found.by[name] = argument{value, valueAt}
	}
	return found
}

func (a *arguments) word(name string) string {
	return strings.Trim(a.by[name].value, `"`)
}

func (a *arguments) whole(name string, otherwise int64) int64 {
	arg, given := a.by[name]
	if !given {
		return otherwise
	}
	n, err := strconv.ParseUint(arg.value, 10, 31)
	if err != nil {
		a.refuse(arg, "a whole number")
	}
	return int64(n)
}

func (a *arguments) number(name string, otherwise float64) float64 {
	arg, given := a.by[name]
	if !given {
		return otherwise
	}
	x, err := strconv.ParseFloat(arg.value, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		a.refuse(arg, "a number")
	}
	return x
}

func (a *arguments) milliseconds(name string, otherwise int64) time.Duration {
	return time.Duration(a.whole(name, otherwise)) * time.Millisecond
}

func (a *arguments) refuse(arg argument, expected string) {
	a.wrong = true
	a.r.problemf(a.in.column(arg.column), "%q is not %s", arg.value, expected)
}
