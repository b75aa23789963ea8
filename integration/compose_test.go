package integration

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// What a service of docker-compose.yml is there for, told by its command.
const (
	roleIdle     = "idle" // holds the network that a group shares
	roleInit     = "init"
	roleNode     = "cluster node"
	roleReplica  = "replica"
	roleSentinel = "sentinel"
	roleServer   = "server"
)

func roleOf(s types.ServiceConfig) string {
	command := strings.Join(s.Command, " ")
	for _, sign := range []struct{ text, role string }{
		{"sleep infinity", roleIdle},
		{"--cluster create", roleInit},
		{"--cluster-enabled yes", roleNode},
		{"--replicaof", roleReplica},
		{"--sentinel", roleSentinel},
		{"redis-server", roleServer},
	} {
		if strings.Contains(command, sign.text) {
			return sign.role
		}
	}
	return "unknown"
}

// compose loads docker-compose.yml as docker compose does with the profiles given.
func compose(t *testing.T, profiles ...string) types.Services {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithName("holdfast"), cli.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project.Services
}

func TestComposeProfilesHoldWhatTheySay(t *testing.T) {
	for profile, want := range map[string]map[string]int{
		"":         {roleServer: 1},
		"sentinel": {roleServer: 1, roleReplica: 2, roleSentinel: 3, roleIdle: 1},
		"cluster":  {roleNode: 6, roleInit: 1, roleIdle: 1},
	} {
		got := make(map[string]int)
		for _, s := range compose(t, profile) {
			// The default service has no profile, so that it is up with each of them.
			if slices.Contains(s.Profiles, profile) || profile == "" {
				got[roleOf(s)]++
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("profile %q holds %v; want %v", profile, got, want)
		}
	}
}

func TestComposePortsAreOnLoopback(t *testing.T) {
	for name, s := range compose(t, "*") {
		for _, port := range s.Ports {
			// The number is the same inside: sentinels and nodes tell it to clients.
			if port.HostIP != "127.0.0.1" || port.Published != strconv.FormatUint(uint64(port.Target), 10) {
				t.Errorf("%s publishes %s:%s for its %d", name, port.HostIP, port.Published, port.Target)
			}
		}
	}
}

func TestComposeServersArePublished(t *testing.T) {
	services := compose(t, "*")
	listens := regexp.MustCompile(`--port (\d+)`)
	for name, s := range services {
		role := roleOf(s)
		if role == roleIdle || role == roleInit {
			continue
		}
		port := ""
		if set := s.Environment["PORT"]; set != nil {
			port = *set
		} else if found := listens.FindStringSubmatch(strings.Join(s.Command, " ")); found != nil {
			port = found[1]
		}
		network := s
		if shared, ok := strings.CutPrefix(s.NetworkMode, "service:"); ok {
			network = services[shared]
		}
		if !slices.ContainsFunc(network.Ports, func(p types.ServicePortConfig) bool { return p.Published == port }) {
			t.Errorf("%s listens on %q, which is not published", name, port)
		}
	}
}

func TestComposeImagesArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z/]+:\d+\.\d+`)
	for name, s := range compose(t, "*") {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %q names no version", name, s.Image)
		}
	}
}

func TestComposeServersAreChecked(t *testing.T) {
	for name, s := range compose(t, "*") {
		role := roleOf(s)
		if role == roleIdle || role == roleInit {
			continue
		}
		if s.HealthCheck == nil || !strings.Contains(strings.Join(s.HealthCheck.Test, " "), "ping") {
			t.Errorf("%s (%s) has no health check", name, role)
		}
	}
}

// TestComposeServersNeverEvict: an evicted bucket is a full one, so that a limit
// would be none.
func TestComposeServersNeverEvict(t *testing.T) {
	for name, s := range compose(t, "*") {
		switch roleOf(s) {
		case roleServer, roleReplica, roleNode:
			if !strings.Contains(strings.Join(s.Command, " "), "--maxmemory-policy noeviction") {
				t.Errorf("%s may evict: %v", name, s.Command)
			}
		}
	}
}

// TestComposeCommandsStart gives the arguments to a real server, on another port.
func TestComposeCommandsStart(t *testing.T) {
	started := 0
	for _, s := range compose(t, "*") {
		if s.Command[0] == "redis-server" {
			redisserver.ForTest(t, s.Command[1:]...)
			started++
		}
	}
	if started == 0 {
		t.Error("no service runs redis-server directly")
	}
}
