package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// TestMain makes the test program a replica where the demo starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ReplicaCommand {
		os.Exit(Replica(os.Stdin, os.Stdout))
	}
	os.Exit(leaktest.Main(m))
}

func hurried() Options {
	o := DefaultOptions()
	o.Duration = minDuration
	return o
}

// runDemo runs one to its end, and shows what happened if the test fails.
func runDemo(t *testing.T, o Options) Verdict {
	t.Helper()
	var said bytes.Buffer
	v, err := Run(t.Context(), o, NewStage(&said, false, false))
	t.Cleanup(func() {
		if t.Failed() {
			_ = v.WriteText(&said, false)
			t.Logf("the demo said:\n%s", said.String())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestARealRedisKeepsThePromises(t *testing.T) {
	url := redisserver.URLForTest(t)
	o := hurried()
	o.Redis = url
	before := demoKeys(t, url)
	for _, c := range runDemo(t, o).Checks {
		if !c.OK && (c.Unit != "ms" || !raceDetector) {
			t.Errorf("%s: %v %s; want %v at most", c.Name, c.Measured, c.Unit, c.Bound)
		}
	}
	if after := demoKeys(t, url); !slices.Equal(before, after) {
		t.Errorf("keys are left behind: %q", after)
	}
}

// demoKeys lists what demos have in a Redis.
func demoKeys(t *testing.T, url string) []string {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	keys, err := client.Keys(t.Context(), "demo-*").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// brokenChecks names what a verdict says is broken.
func brokenChecks(v Verdict) []string {
	var names []string
	for _, c := range v.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	return names
}

// TestTheVerdictCanFail breaks promises on purpose: a limit ten times too high,
// a breaker that one sick replica opens for all, and a replica that does not
// care for the fleet's breaker, nor for an operator.
func TestTheVerdictCanFail(t *testing.T) {
	o := hurried()
	o.Duration = 8 * time.Second
	o.sabotage = sabotage{hurried: true, unlimited: true, sharing: domain.ShareAny, loner: 2}
	broken := brokenChecks(runDemo(t, o))
	for _, name := range []string{
		"calls beyond rate·t, in the worst interval",
		"trip to the last call that is no probe",
		"calls later than that while open, probes apart",
		"breaker refusals elsewhere, one replica broken",
		"epoch changes meanwhile",
		"override to the last call, forced open",
		"calls later than that while forced open",
	} {
		if !slices.Contains(broken, name) {
			t.Errorf("%q was not noticed", name)
		}
	}
}

// TestWhatDoesNotHappenIsNotKept takes the fleet's breaker away: then there is
// no trip, no probe and nobody to kill.
func TestWhatDoesNotHappenIsNotKept(t *testing.T) {
	o := hurried()
	o.Duration = 7 * time.Second
	o.sabotage = sabotage{hurried: true, sharing: domain.ShareLocal}
	broken := brokenChecks(runDemo(t, o))
	want := []string{
		"trip to the last call that is no probe",
		"calls later than that while open, probes apart",
		"probe leases out at once",
		"killed replica's probe issued again after",
		"calls in a step of the ramp, of those allowed",
		"override to the last call, forced open", // they share nothing, and hear no orders
		"calls later than that while forced open",
	}
	for _, name := range want {
		if !slices.Contains(broken, name) {
			t.Errorf("%q is taken for kept", name)
		}
	}
}

// TestNoRampAndNoEnd has all calls come back at once, and an operator who forgets the
// override.
func TestNoRampAndNoEnd(t *testing.T) {
	o := hurried()
	o.Duration = 8 * time.Second
	o.sabotage = sabotage{hurried: true, steep: true, forgetful: true}
	broken := brokenChecks(runDemo(t, o))
	for _, name := range []string{
		"calls in a step of the ramp, of those allowed",
		"end of the override to the next call",
	} {
		if !slices.Contains(broken, name) {
			t.Errorf("%q was not noticed", name)
		}
	}
}

func TestAnInterruptedRunEndsAtOnceAndCleansUp(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	stage := NewStage(writerFunc(func(b []byte) {
		if bytes.Contains(b, []byte("all is well")) {
			interrupt(why)
		}
	}), false, false)
	if _, err := Run(ctx, hurried(), stage); !errors.Is(err, why) {
		t.Errorf("Run = %v; want %v", err, why)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

func TestARedisThatIsNotThere(t *testing.T) {
	o := hurried()
	o.Redis = "redis://user:secret@127.0.0.1:1"
	_, err := Run(t.Context(), o, NewStage(&bytes.Buffer{}, false, false))
	if !errors.Is(err, ErrUnreachable) {
		t.Fatalf("Run = %v; want %v", err, ErrUnreachable)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		change func(*Options)
		flag   string // that the error names; "" = valid
	}{
		{func(*Options) {}, ""},
		{func(o *Options) { o.Duration = minDuration - 1 }, "--duration"},
		{func(o *Options) { o.Duration = maxDuration + 1 }, "--duration"},
		{func(o *Options) { o.Duration = minDuration }, ""},
		{func(o *Options) { o.Replicas = 0 }, "--replicas"},
		{func(o *Options) { o.Replicas = 1 }, "--replicas"},
		{func(o *Options) { o.Replicas = 2 }, ""},
		{func(o *Options) { o.Replicas = 33 }, "--replicas"},
		{func(o *Options) { o.Rate = -1 }, "--rate"},
		{func(o *Options) { o.Rate = 0 }, "--rate"},
		{func(o *Options) { o.Rate = 39 }, "--rate"},
		{func(o *Options) { o.Rate = 40 }, ""},
		{func(o *Options) { o.Rate = maxRate + 1 }, "--rate"},
		{func(o *Options) { o.Burst = 0 }, "--burst"},
		{func(o *Options) { o.Burst = maxBurst + 1 }, "--burst"},
		{func(o *Options) { o.Redis = "http://host" }, "--redis"},
		{func(o *Options) { o.Redis = "host:1234" }, ""},
		{func(o *Options) { o.Redis = "rediss://host" }, ""},
	} {
		o := DefaultOptions()
		tt.change(&o)
		err := o.Validate()
		if (err == nil) != (tt.flag == "") || (err != nil && !strings.HasPrefix(err.Error(), tt.flag)) {
			t.Errorf("%+v: Validate() = %v; want %q", o, err, tt.flag)
		}
	}
}

// TestEveryPolicyIsValid: what the options allow, the library takes.
func TestEveryPolicyIsValid(t *testing.T) {
	for _, o := range []Options{
		DefaultOptions(),
		{Duration: minDuration, Replicas: minReplicas, Rate: 20, Burst: 1},
		{Duration: maxDuration, Replicas: maxReplicas, Rate: maxRate, Burst: maxBurst},
	} {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
		o.sabotage.loner = 2
		for replica := 1; replica <= o.Replicas; replica++ {
			if err := o.sceneOf(replica).policy().Validate(); err != nil {
				t.Errorf("%+v: replica %d: %v", o, replica, err)
			}
		}
	}
}
