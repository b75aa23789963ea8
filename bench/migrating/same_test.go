package migrating

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

const wiringImport = "\n\t\"github.com/holdfast-go/holdfast/bench/migrating/wiring\""

// TestSameProgram runs a program that uses another library, and the same one by compat,
// of which nothing but the import and the constructors is changed.
func TestSameProgram(t *testing.T) {
	t.Parallel() // the programs mostly wait
	for _, row := range []struct {
		program string
		changes []string // old and new, in turn
		redis   bool
	}{
		{
			program: "limiter",
			changes: []string{
				`"github.com/go-redis/redis_rate/v10"`, `redis_rate "github.com/holdfast-go/holdfast/compat/ratelimit"` + wiringImport,
				`NewLimiter(client)`, `NewLimiter(wiring.OnRedis(client))`,
			},
			redis: true,
		},
		{
			program: "breaker",
			changes: []string{
				`"github.com/sony/gobreaker/v2"`, `"github.com/holdfast-go/holdfast/compat/gobreaker"` + wiringImport,
				`gobreaker.NewCircuitBreaker[int](settings)`, `wiring.Must(gobreaker.NewCircuitBreaker[int](wiring.InMemory(), settings))`,
				`gobreaker.NewTwoStepCircuitBreaker[int](gobreaker.Settings{Name: "two-step", Timeout: 400 * time.Millisecond})`,
				`wiring.Must(gobreaker.NewTwoStepCircuitBreaker[int](wiring.InMemory(), gobreaker.Settings{Name: "two-step", Timeout: 400 * time.Millisecond}))`,
			},
		},
	} {
		t.Run(row.program, func(t *testing.T) {
			t.Parallel()
			var args []string
			if row.redis {
				args = []string{redisserver.ForTest(t).Addr()}
			}
			before := run(t, row.program, nil, args)
			after := run(t, row.program, []string{"-overlay", changed(t, row.program, row.changes)}, args)
			if before == "" || before != after {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// changed writes what tells the go command to build the program with those changes.
func changed(t *testing.T, program string, changes []string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("same", program, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, path)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("%s has no %s", path, changes[i])
		}
	}
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	main := write("main.go", []byte(strings.NewReplacer(changes...).Replace(text)))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: main}})
	if err != nil {
		t.Fatal(err)
	}
	return write("overlay.json", overlay)
}

func run(t *testing.T, program string, flags, args []string) string {
	t.Helper()
	words := append(append([]string{"run"}, flags...), "./same/"+program)
	cmd := exec.CommandContext(t.Context(), "go", append(words, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("go %s: %v\n%s", strings.Join(words, " "), err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
