package integration

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	goRedis   = "github.com/redis/go-redis/v9"
	miniredis = "github.com/alicebob/miniredis/v2"
	rapid     = "pgregory.net/rapid"
	redsync   = "github.com/go-redsync/redsync/v4"
	otelAPI   = "go.opentelemetry.io/otel"
	promAPI   = "github.com/prometheus/client_golang/prometheus"
	yamlV4    = "go.yaml.in/yaml/v4"
	fsnotify  = "github.com/fsnotify/fsnotify"
	grpc      = "google.golang.org/grpc"
	gqlgen    = "github.com/99designs/gqlgen"
)

// architecture has a row for each package of the root module, and of the modules in
// contrib, top to bottom: imports point down only. .golangci.yml has the same rules for
// the editor; this one cannot be silenced by a comment, and sees a package that has no rule.
func architecture() []rule {
	// What the domain may know of the standard library: no I/O, no clocks but the
	// types of time, no goroutines.
	domain := []string{"cmp", "context", "errors", "fmt", "math", "slices", "strconv", "strings", "time"}
	rules := slices.Concat(domain, []string{"./domain"})
	measured := []string{"std", "./domain/...", "./fleet", "./orchestrator"}

	return []rule{
		{".", nil}, // the landing page of the docs
		{"cmd/...", []string{"std", "./...", goRedis + "/...", miniredis + "/..."}},

		{"compat", []string{"std", "./domain", "./orchestrator"}},
		{"archtest", []string{"std"}},
		{"guardhttp", []string{"std", "./domain/...", "./orchestrator"}},
		{"contrib/grpc", []string{
			"std", "./domain/...", "./fleet", "./orchestrator", grpc + "/...",
			"google.golang.org/genproto/googleapis/rpc/...", "google.golang.org/protobuf/...",
		}},
		{"contrib/gqlgen/...", []string{"std", "./domain/...", "./orchestrator", gqlgen + "/...", "github.com/vektah/gqlparser/v2/..."}},
		{"operate", []string{"std", "./domain/..."}},
		// Of OpenTelemetry the API: which SDK there is, programs choose.
		{"contrib/otel", slices.Concat(measured, []string{
			"./telemetry", otelAPI, otelAPI + "/attribute", otelAPI + "/codes", otelAPI + "/metric", otelAPI + "/trace/...",
		})},
		{"contrib/prometheus", slices.Concat(measured, []string{"./telemetry", promAPI})},
		{"telemetry", measured},
		{"contrib/redsync", []string{"std", "./domain/...", goRedis + "/...", redsync + "/..."}},
		{"contrib/policyfile", []string{"std", "./domain", "./orchestrator", "./policy", fsnotify, yamlV4}},
		{"contrib/policyfile/cmd/...", []string{"std", "./contrib/policyfile", "./internal/policycheck", "./policy"}},
		{"rollout", []string{"std", "./domain/...", "./orchestrator", "./policy"}},
		{"compat/gobreaker", measured},
		{"compat/ratelimit", measured},
		{"policy", []string{"std", "./domain"}},
		{"classify", []string{"std", "./domain"}},
		{"orchestrator/...", []string{"std", "./domain/...", "./fleet", "./orchestrator/..."}},

		{"fleet", []string{"std", "./domain/...", "./fleet/internal/..."}},
		// The lower two know no bucket and no breaker, so they cannot know the ports.
		{"fleet/internal/flight", []string{"std", "./domain"}},
		{"fleet/internal/outage", []string{"std", "./domain"}},
		{"fleet/internal/lease", []string{"std", "./domain/...", "./fleet/internal/flight", "./fleet/internal/outage"}},
		{"fleet/internal/view", []string{"std", "./domain/...", "./fleet/internal/flight", "./fleet/internal/outage"}},

		{"store/redis", []string{"std", "./domain/...", "./scripts/lua", goRedis + "/..."}},
		{"store/memory", []string{"std", "./domain/..."}},
		{"store/storetest", []string{"std", "./domain/..."}},
		{"scripts/lua", []string{"embed"}},

		{"domain", domain},
		{"domain/bucket", rules},
		{"domain/breaker", rules},
		{"domain/bulkhead", rules},
		{"domain/port", slices.Concat(domain, []string{"./domain/..."})},

		{"internal/policycheck", []string{"std", "./domain", "./policy"}}, // the command of two modules
		{"internal/redisserver", []string{"std"}},
		{"internal/leaktest", []string{"std"}},
	}
}

func TestImportsPointDown(t *testing.T) {
	for _, module := range append(contribModules(t), "..") {
		for _, violation := range violations(graphOf(t, module), architecture()) {
			t.Error(violation)
		}
	}
}

// contribModules are the folders of the modules in contrib.
func contribModules(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../contrib/*/go.mod")
	if err != nil || len(files) == 0 {
		t.Fatalf("no module is found in contrib: %v", err)
	}
	for i := range files {
		files[i] = filepath.Dir(files[i])
	}
	return files
}

// TestDomainStandsAlone looks at all that the domain is built of, not only at
// what it names.
func TestDomainStandsAlone(t *testing.T) {
	g := rootGraph(t)
	for _, p := range g.own() {
		if !matches(absolute("domain/..."), p.ImportPath) {
			continue
		}
		for path := range g.reaches(p.ImportPath) {
			if !g[path].Standard && !matches(absolute("domain/..."), path) {
				t.Errorf("%s reaches %s", p.ImportPath, path)
			}
		}
	}
}

// TestNoTestCodeInUsersBinaries allows the package testing to the one package
// that is written for tests.
func TestNoTestCodeInUsersBinaries(t *testing.T) {
	for _, module := range append(contribModules(t), "..") {
		noTestCode(t, graphOf(t, module))
	}
}

func noTestCode(t *testing.T, g graph) {
	t.Helper()
	for _, p := range g.own() {
		if p.ImportPath != absolute("store/storetest") && g.reaches(p.ImportPath)["testing"] {
			t.Errorf("%s reaches testing", p.ImportPath)
		}
	}
}

func TestRootModuleRequiresThreeModules(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goCommand(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	slices.Sort(direct)
	if want := []string{miniredis, goRedis, rapid}; !slices.Equal(direct, want) {
		t.Errorf("the root module requires %v directly; want %v", direct, want)
	}
}

// rootGraph asks the go command about the root module.
func rootGraph(t *testing.T) graph {
	t.Helper()
	return graphOf(t, "..")
}

// graphOf asks the go command about the module in a folder.
func graphOf(t *testing.T, folder string) graph {
	t.Helper()
	g := make(graph)
	decoder := json.NewDecoder(strings.NewReader(string(goCommandIn(t, folder, "list", "-deps", "-json=ImportPath,Imports,Standard", "./..."))))
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		g[p.ImportPath] = p
	}
	if len(g.own()) == 0 {
		t.Fatalf("go list found no package of the project in %s", folder)
	}
	return g
}

// goCommand runs the go command in the root module and returns what it prints.
func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	return goCommandIn(t, "..", args...)
}

func goCommandIn(t *testing.T, folder string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
