package lua_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/scripts/lua"
)

func scripts() map[string]string {
	return map[string]string{
		"bucket_take.lua":  lua.BucketTake,
		"breaker_step.lua": lua.BreakerStep,
		"member_beat.lua":  lua.MemberBeat,
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

// What a script must not do, because servers differ in it or because it loses
// digits of a number: docs/protocol.md says why.
func TestRules(t *testing.T) {
	t.Parallel()
	for name, text := range scripts() {
		code := regexp.MustCompile(`--[^\n]*`).ReplaceAllString(text, "")
		for why, bad := range map[string]string{
			"rounds to 14 digits on Redis":              `\btostring\b`,
			"rounds to 14 digits on Redis, too":         `\bcjson\b`,
			"is not there on miniredis":                 `\b(cmsgpack|struct|bit)\.`,
			"is a dialect that miniredis does not know": `^#!`,
			"makes a global variable":                   `(?m)^(function|[a-z_]+ *=)`,
			"makes the caller's key depend on a value":  `redis\.p?call\('[A-Z]+', ?[^K ]`,
			"writes a number as text, and so rounds it": `\.\. *(now|at|lasts|seq|weight|bad|[a-z]+\.[a-z])\b`,
			"waits, or asks about the server":           `'(WAIT|KEYS|SCAN|CONFIG|INFO|EVAL|RANDOMKEY)'`,
			"reads another clock":                       `\bos\.`,
			"draws random numbers":                      `math\.random`,
			"does not survive miniredis":                `\berror\(`,
		} {
			code := regexp.MustCompile(`redis\.call\('TIME'\)`).ReplaceAllString(code, "")
			if found := regexp.MustCompile(bad).FindString(code); found != "" {
				t.Errorf("%s: %q %s", name, found, why)
			}
		}
		if n := strings.Count(code, "'TIME'"); n != 1 {
			t.Errorf("%s reads the clock in %d places; want 1: it moves within a script", name, n)
		}
		if clock, write := strings.Index(code, "'TIME'"), regexp.MustCompile(`'(HSET|DEL|HDEL|PEXPIRE)'`).FindStringIndex(code); clock > write[0] {
			t.Errorf("%s reads the clock after a write", name)
		}
		if !strings.Contains(code, "'PEXPIRE'") {
			t.Errorf("%s sets no time to live", name)
		}
		if regexp.MustCompile(`[^\x00-\x7f]`).MatchString(code) {
			t.Errorf("%s has more than ASCII in its code", name)
		}
	}
}
