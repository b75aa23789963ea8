package write

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/policy"
)

// TestLiterals: a program with the policies as they are written prints the texts that they
// come from: nothing is lost on the way.
func TestLiterals(t *testing.T) {
	texts := []string{
		"none",
		"timeout(2s)", "timeout(1m30s)", "timeout(1h)", "timeout(1.5ms)", "timeout(1ns)", "timeout(36h)",
		"retry()", "retry(max_attempts=-1, max_elapsed=1m)",
		"retry(backoff=exponential(initial=1s, multiplier=1.5, max=10s))", "retry(backoff=fixed(initial=1s, jitter=none))",
		"retry(backoff=linear(initial=1s, increment=500ms, jitter=equal))", "retry(backoff=decorrelated(initial=1s, max=10s))",
		"retry(backoff=exponential(jitter=0.25), budget=budget(name=b, ratio=0.2, per_second=5))",
		"circuit_breaker()", "circuit_breaker(name=a.b-c_d, failure_threshold=3)",
		"circuit_breaker(failure_ratio=0.5, slow_after=1s, slow_ratio=0.9, min_calls=5, window=20s, count_window=50, ramp=1m)",
		"circuit_breaker(keyed=true, max_keys=10, max_open_share=0.5)", "circuit_breaker(sharing=any)",
		"circuit_breaker(sharing=local)", "circuit_breaker(sharing=quorum, min_replicas=3, quorum=0.6)", "circuit_breaker(sharing=aggregate)",
		"circuit_breaker(recovery_timeout=10s, max_recovery_timeout=1m, success_threshold=3, probes=2, probe_lease=5s, max_half_open=1m, version=7)",
		"rate_limit(100/s)", "rate_limit(5/m, burst=3)", "rate_limit(7/h, name=x)", "rate_limit(3/24h)",
		"rate_limit(10/s, burst=20, also=100/h, also=500/24h, keyed=true, outage=open, carry=tokens, first_fill=-1, max_wait=1s, shadow=true, version=3)",
		"rate_limit(100/s, outage=closed, carry=reset, first_fill=5, lease=true)",
		"bulkhead(10)", "bulkhead(10, name=x, max_wait=100ms, fleet=true)",
		"hedge(50ms)", "hedge(50ms, max_hedges=2, budget=budget(ratio=0.05))",
		"exclusive()", "exclusive(name=report, max_hold=1m, max_wait=1s, lease=20s)",
		"timeout(5s) > retry() > circuit_breaker(name=x) > timeout(1s)",
	}
	name := func(name string) func() string { return func() string { return name } }
	l := literals{hold: name("hold"), time: name("time")}
	var program, want strings.Builder
	program.WriteString("package main\n\nimport (\n\"fmt\"\n\"time\"\n\nhold \"github.com/holdfast-go/holdfast/domain\"\n)\n\nfunc main() {\n_ = time.Second\n")
	for _, text := range texts {
		p, err := policy.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&program, "fmt.Println(hold.Policy(%s))\n", l.policy(p))
		fmt.Fprintln(&want, p)
	}
	program.WriteString("}\n")
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", file).CombinedOutput()
	if err != nil || string(out) != want.String() {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want.String())
	}
}

// TestEveryKindCanBeWritten: a field that a policy gets later on is not forgotten here.
func TestEveryKindCanBeWritten(t *testing.T) {
	name := func(name string) func() string { return func() string { return name } }
	l := literals{hold: name("hold"), time: name("time")}
	for _, p := range []hold.Policy{
		hold.None{}, hold.Retry{}, hold.CircuitBreaker{}, hold.RateLimit{}, hold.Timeout{}, hold.Bulkhead{}, hold.Hedge{}, hold.Exclusive{},
	} {
		full := filled(p)
		if said := l.value(full); strings.Count(said, ": ") < full.NumField() {
			t.Errorf("%s has %d fields, and is written as %s", full.Type(), full.NumField(), said)
		}
	}
}

// filled is a policy with something in each field.
func filled(p hold.Policy) reflect.Value {
	v := reflect.New(reflect.TypeOf(p)).Elem()
	fill(v)
	return v
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field)
		}
	case reflect.Array:
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Uint8:
		v.SetUint(1)
	default:
		v.SetInt(1)
	}
}
