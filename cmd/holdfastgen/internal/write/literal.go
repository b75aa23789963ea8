package write

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

// literals write policies as Go values: what is generated says what the fleet will do, in
// the words of the domain, and parses no text when it runs.
type literals struct {
	hold, time func() string // the names of these packages, once they are needed
}

// policy writes one.
func (l literals) policy(p hold.Policy) string {
	layers := hold.Layers(p)
	if len(layers) == 1 {
		return l.value(reflect.ValueOf(layers[0]))
	}
	var b strings.Builder
	b.WriteString(l.hold() + ".Combine(\n")
	for _, layer := range layers {
		b.WriteString(l.value(reflect.ValueOf(layer)) + ",\n")
	}
	return b.String() + ")"
}

func (l literals) value(v reflect.Value) string {
	if named, ok := l.named(v.Interface()); ok {
		return named
	}
	switch v.Kind() {
	case reflect.Struct:
		return l.structure(v)
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	default:
		panic(fmt.Sprintf("policies have a %s, which cannot be written yet", v.Type())) // a test has all of them
	}
}

// longest is how long a value may be that stands on one line.
const longest = 100

// structure writes the fields that are not zero.
func (l literals) structure(v reflect.Value) string {
	var fields []string
	for i := range v.NumField() {
		if field := v.Type().Field(i); !v.Field(i).IsZero() {
			fields = append(fields, field.Name+": "+l.field(field.Name, v.Field(i)))
		}
	}
	name := l.hold() + "." + v.Type().Name()
	if line := name + "{" + strings.Join(fields, ", ") + "}"; len(line) <= longest && !strings.Contains(line, "\n") {
		return line
	}
	return name + "{\n" + strings.Join(fields, ",\n") + ",\n}"
}

// field writes numbers that have a name in that field.
func (l literals) field(name string, v reflect.Value) string {
	switch {
	case name == "MaxAttempts" && v.Int() == hold.UnlimitedAttempts:
		return l.hold() + ".UnlimitedAttempts"
	case name == "FirstFill" && v.Int() == hold.FirstEmpty:
		return l.hold() + ".FirstEmpty"
	default:
		return l.value(v)
	}
}

// named writes what is better said in another way than its kind is.
func (l literals) named(value any) (string, bool) {
	name := ""
	switch value := value.(type) {
	case time.Duration:
		return l.duration(value), true
	case hold.Limit:
		return l.limit(value), true
	case hold.Bands:
		return l.bands(value), true
	case hold.Jitter:
		name = l.jitter(value)
	case hold.BackoffKind:
		name = map[hold.BackoffKind]string{
			hold.BackoffExponential: "BackoffExponential", hold.BackoffFixed: "BackoffFixed",
			hold.BackoffLinear: "BackoffLinear", hold.BackoffDecorrelated: "BackoffDecorrelated",
		}[value]
	case hold.Sharing:
		name = map[hold.Sharing]string{
			hold.ShareDefault: "ShareDefault", hold.ShareQuorum: "ShareQuorum", hold.ShareAny: "ShareAny",
			hold.ShareLocal: "ShareLocal", hold.ShareAggregate: "ShareAggregate",
		}[value]
	case hold.Outage:
		name = map[hold.Outage]string{
			hold.OutageLocalShare: "OutageLocalShare", hold.OutageOpen: "OutageOpen", hold.OutageClosed: "OutageClosed",
		}[value]
	case hold.Carry:
		name = map[hold.Carry]string{
			hold.CarryProportion: "CarryProportion", hold.CarryTokens: "CarryTokens", hold.CarryReset: "CarryReset",
		}[value]
	}
	return l.hold() + "." + name, name != ""
}

func (l literals) jitter(j hold.Jitter) string {
	switch j {
	case hold.FullJitter:
		return "FullJitter"
	case hold.NoJitter:
		return "NoJitter"
	case hold.EqualJitter:
		return "EqualJitter"
	default:
		return "PlusMinus(" + j.String() + ")"
	}
}

func (l literals) limit(limit hold.Limit) string {
	var said string
	switch limit.Period {
	case time.Second:
		said = fmt.Sprintf("%s.PerSecond(%d)", l.hold(), limit.Tokens)
	case time.Minute:
		said = fmt.Sprintf("%s.PerMinute(%d)", l.hold(), limit.Tokens)
	case time.Hour:
		said = fmt.Sprintf("%s.PerHour(%d)", l.hold(), limit.Tokens)
	default:
		said = fmt.Sprintf("%s.Per(%d, %s)", l.hold(), limit.Tokens, l.duration(limit.Period))
	}
	if limit.Burst != 0 {
		said += fmt.Sprintf(".WithBurst(%d)", limit.Burst)
	}
	return said
}

func (l literals) bands(bands hold.Bands) string {
	var said []string
	for _, band := range bands {
		if band != (hold.Limit{}) {
			said = append(said, l.limit(band))
		}
	}
	return l.hold() + ".Bands{" + strings.Join(said, ", ") + "}"
}

// duration writes d in the largest unit that it is a whole number of.
func (l literals) duration(d time.Duration) string {
	for _, unit := range []struct {
		worth time.Duration
		name  string
	}{
		{time.Hour, "Hour"},
		{time.Minute, "Minute"},
		{time.Second, "Second"},
		{time.Millisecond, "Millisecond"},
		{time.Microsecond, "Microsecond"},
		{time.Nanosecond, "Nanosecond"},
	} {
		switch {
		case d == unit.worth:
			return l.time() + "." + unit.name
		case d%unit.worth == 0:
			return fmt.Sprintf("%d * %s.%s", d/unit.worth, l.time(), unit.name)
		}
	}
	return ""
}
