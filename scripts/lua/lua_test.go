package lua_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/scripts/lua"
)

func scripts() map[string]string {
	return map[string]string{
		"bucket_take.lua":   lua.BucketTake,
		"breaker_order.lua": lua.BreakerOrder,
		"breaker_step.lua":  lua.BreakerStep,
		"member_beat.lua":   lua.MemberBeat,
		"permit_hold.lua":   lua.PermitHold,

		"policy_publish.lua": lua.PolicyPublish,
	}
}

// Every file in this folder is embedded, and so held to the rules below.
func TestEveryScriptIsEmbedded(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	known := scripts()
	for _, file := range files {
		if text, ok := known[file.Name()]; strings.HasSuffix(file.Name(), ".lua") && (!ok || text == "") {
			t.Errorf("%s is not embedded, or not listed here", file.Name())
		}
		delete(known, file.Name())
	}
	for name := range known {
		t.Errorf("%s is listed here, and is no file", name)
	}
}

// The header says all that a caller needs to know, and first of all what for.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for name, text := range scripts() {
		header, _, _ := strings.Cut(text, "\nlocal ")
		if !strings.HasPrefix(header, "-- "+name+": ") {
			t.Errorf("%s does not begin with its name and purpose", name)
		}
		for _, part := range []string{"Twin", "KEYS[", "ARGV[1]", "Returns ", "µs"} {
			if !strings.Contains(header, part) {
				t.Errorf("the header of %s does not say %q", name, part)
			}
		}
		for line := range strings.Lines(header) {
			if !strings.HasPrefix(line, "--") {
				t.Errorf("the header of %s is not only comment: %q", name, line)
			}
		}
	}
}

// Whoever reads the header knows every argument: each one that the code takes by
// its number is described there, one by one or in a range.
func TestHeadersDescribeEveryArgument(t *testing.T) {
	t.Parallel()
	for name, text := range scripts() {
		header, _, _ := strings.Cut(text, "\nlocal ")
		known := make(map[string]bool)
		last := 0
		for _, found := range regexp.MustCompile(`(KEYS|ARGV)\[(\w+)(?:\.\.(\d+))?\]`).FindAllStringSubmatch(header, -1) {
			known[found[1]+"["+found[2]+"]"] = true
			from, _ := strconv.Atoi(found[2])
			to, _ := strconv.Atoi(found[3])
			for i := from; i <= to; i++ {
				known["ARGV["+strconv.Itoa(i)+"]"] = true
			}
			last = max(last, from, to)
		}
		open := strings.Contains(header, "then for each run of keys") // and no end
		for _, used := range regexp.MustCompile(`(KEYS|ARGV)\[(\d+)\]`).FindAllStringSubmatch(code(text), -1) {
			n, _ := strconv.Atoi(used[2])
			further := open && (n > last || used[1] == "KEYS" && known["KEYS[k]"])
			if !known[used[0]] && !further {
				t.Errorf("the header of %s does not describe %s", name, used[0])
			}
		}
	}
}

// code is a script without its comments.
func code(text string) string { return regexp.MustCompile(`--[^\n]*`).ReplaceAllString(text, "") }

// What a script must not do, because servers differ in it, because it loses
// digits of a number, or because a caller's text would be more than a value:
// docs/protocol.md says why.
func TestForbidden(t *testing.T) {
	t.Parallel()
	for why, bad := range map[string]string{
		"rounds to 14 digits on Redis":              `\btostring\b`,
		"rounds to 14 digits on Redis, too":         `\bcjson\b`,
		"is not there on miniredis":                 `\b(cmsgpack|struct|bit)\.`,
		"is a dialect that miniredis does not know": `^#!`,
		"makes a global variable":                   `(?m)^(function|[a-z_]+ *=)`,
		"writes a number as text, and so rounds it": `\.\. *(now|at|lasts|lasting|seq|weight|bad|[a-z]+\.[a-z])\b|\b(now|at|lasts|lasting|seq|weight|bad|rest) *\.\.`,
		"waits, or asks about the server":           `'(WAIT|KEYS|SCAN|CONFIG|INFO|EVAL|RANDOMKEY)'`,
		"reads another clock":                       `\bos\.`,
		"draws random numbers":                      `math\.random`,
		"does not survive miniredis":                `\berror\(`,
		"may go on for ever":                        `\b(while|repeat|goto)\b`,
		"runs text that somebody sent":              `\bload\([^)]|\b(loadstring|dofile|loadfile|require|setfenv|getfenv|_G)\b`,
	} {
		pattern := regexp.MustCompile(bad)
		for name, text := range scripts() {
			if found := pattern.FindString(code(text)); found != "" {
				t.Errorf("%s: %q %s", name, found, why)
			}
		}
	}
}

// Keys are named literally where a command is called, as some servers want it,
// and so is the command; a channel is the key itself. Nothing else can be reached.
func TestKeysAreLiteral(t *testing.T) {
	t.Parallel()
	for name, text := range scripts() {
		call := regexp.MustCompile(`redis\.p?call\('[A-Z]+', KEYS\[1\][,)]|redis\.call\('TIME'\)`)
		if strings.Contains(text, "-- KEYS[k] ") {
			call = regexp.MustCompile(`redis\.p?call\('[A-Z]+', KEYS\[[1k]\][,)]|redis\.call\('TIME'\)|#KEYS\b`)
		}
		if strings.Contains(text, "-- KEYS[2] ") {
			call = regexp.MustCompile(`redis\.p?call\('[A-Z]+', KEYS\[[12]\][,)]|redis\.call\('TIME'\)`)
		}
		rest := call.ReplaceAllString(code(text), "")
		if found := regexp.MustCompile(`.*(\bKEYS\b|\bredis\.p?call\b|\bredis\[|= *redis\b).*`).FindString(rest); found != "" {
			t.Errorf("%s: a command or a key is not literal: %s", name, found)
		}
	}
}

// Numbers are written whole: any other verb rounds, or cuts what is large.
func TestNumbersAreWrittenWhole(t *testing.T) {
	t.Parallel()
	for name, text := range scripts() {
		for _, format := range regexp.MustCompile(`format\(([^,)]*)`).FindAllStringSubmatch(code(text), -1) {
			if rest := strings.ReplaceAll(format[1], "%.0f", ""); strings.Contains(rest, "%") || !strings.HasPrefix(rest, "'") {
				t.Errorf("%s writes a number as %s", name, format[1])
			}
		}
	}
}

// What bounds a loop is known before it begins: what is there, what was sent, or
// a constant. Of the two that end by something else, growth stops at the longest
// recovery, which a doubling reaches in 53 steps.
func TestLoopsAreBounded(t *testing.T) {
	t.Parallel()
	bounded := regexp.MustCompile(`^(\w+ = [0-9]+, (#\w+|#s\.live|s and #s\.live or 0|most > 0 and n or 0|BILLS|asks|n|[abr]\.n|min\(a\.n, b\.n\)|growth)(, 2)?|[\w, ]+ in (pairs\(marks\)|ipairs\(COUNTERS\)|ipairs\(s\.live\)|(string\.)?gmatch\(.*\)))$`)
	for name, text := range scripts() {
		for _, loop := range regexp.MustCompile(`\bfor (.*) do\b`).FindAllStringSubmatch(code(text), -1) {
			if !bounded.MatchString(loop[1]) {
				t.Errorf("%s: nobody knows what bounds the loop %q", name, loop[0])
			}
		}
		if strings.Contains(text, "1, n do") && !strings.Contains(text, "if r.n > BANDS or") {
			t.Errorf("%s reads any number of bands", name)
		}
		for _, bound := range []string{"if s.sum > MAX or #s.live > LEASES then", "if #s.live >= LEASES then"} {
			if strings.Contains(text, "s.live") && !strings.Contains(text, bound) {
				t.Errorf("%s reads or makes any number of leases: %q is missing", name, bound)
			}
		}
		if !strings.Contains(text, "growth do") {
			continue
		}
		if !strings.Contains(text, "if d >= r.longest then\n        break") || !strings.Contains(text, "local least = (RULES[i] == 'version' or RULES[i] == 'quorum' or RULES[i] == 'ramp') and 0 or 1") {
			t.Errorf("%s doubles a recovery without end, if that is 0", name)
		}
	}
}

// The clock is read once, before anything else that the server is asked: it moves
// within a script. Nothing is read after the first write, and what is written
// gets a time to live afterwards. TestScriptsDecideBeforeTheyWrite in store/redis
// sees the same of what really runs.
func TestOrder(t *testing.T) {
	t.Parallel()
	for name, text := range scripts() {
		var commands []string
		for _, found := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(code(text), -1) {
			commands = append(commands, found[1])
		}
		if len(commands) == 0 || commands[0] != "TIME" || slices.Contains(commands[1:], "TIME") {
			t.Errorf("%s calls %v; want TIME first, and once", name, commands)
		}
		if slices.Index(commands, "PEXPIRE") < 0 || slices.Contains(after(commands, "PEXPIRE"), "HSET") {
			t.Errorf("%s calls %v; want PEXPIRE after all that it writes", name, commands)
		}
		if rest := after(commands, "PUBLISH"); len(rest) > 0 {
			t.Errorf("%s calls %v after its PUBLISH, which may fail", name, rest)
		}
	}
}

// after is what follows the last of commands that has this name.
func after(commands []string, name string) []string {
	for i, command := range slices.Backward(commands) {
		if command == name {
			return commands[i+1:]
		}
	}
	return nil
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	for name, text := range scripts() {
		if found := regexp.MustCompile(`[^\x00-\x7f]`).FindString(code(text)); found != "" {
			t.Errorf("%s has more than ASCII in its code: %q", name, found)
		}
	}
}
