package demo

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestWriteJSON(t *testing.T) {
	v := Verdict{[]Check{
		{Name: "a", Bound: 2, Measured: 1.5, Unit: "ms", OK: true},
		{Name: "b", Bound: 0, Measured: math.NaN(), Unit: "calls"},
	}}
	var out bytes.Buffer
	if err := v.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	want := `{"verdict":"fail","checks":[` +
		`{"name":"a","bound":2,"measured":1.5,"unit":"ms","ok":true},` +
		`{"name":"b","bound":0,"measured":null,"unit":"calls","ok":false}]}` + "\n"
	if out.String() != want {
		t.Errorf("WriteJSON wrote\n%s; want\n%s", &out, want)
	}
	if !json.Valid(out.Bytes()) {
		t.Error("it is no JSON")
	}
}

func TestWriteText(t *testing.T) {
	v := Verdict{[]Check{
		{Name: "kept", Bound: 2, Measured: 1.25, Unit: "ms", OK: true},
		{Name: "broken", Bound: 0, Measured: 31.66, Unit: "calls"},
		{Name: "missing", Bound: 0, Measured: math.NaN(), Unit: "calls"},
	}}
	var out bytes.Buffer
	if err := v.WriteText(&out, false); err != nil {
		t.Fatal(err)
	}
	var words [][]string
	for line := range strings.Lines(out.String()) {
		words = append(words, strings.Fields(line))
	}
	for i, want := range []string{"ok kept 1.25 ≤ 2 ms", "FAIL broken 31.7 ≤ 0 calls", "FAIL missing not seen ≤ 0 calls", "verdict: fail"} {
		if got := strings.Join(words[i+1], " "); got != want {
			t.Errorf("line %d: %q; want %q", i+1, got, want)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("it has colours")
	}
}
