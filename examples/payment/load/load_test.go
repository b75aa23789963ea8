package load_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/examples/payment/load"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// TestMain: the replicas are this program in processes of their own.
func TestMain(m *testing.M) {
	if is, err := load.Replica(os.Stdin, os.Stdout); is {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestLoad: two replicas that share 1,000 a second through a real Redis let in no more than
// that, of twice as many.
func TestLoad(t *testing.T) {
	var out bytes.Buffer
	plan := load.Plan{Replicas: 2, Rate: 2000, For: time.Second, Redis: redisserver.ForTest(t).Addr()}
	if err := plan.Run(t.Context(), &out); err != nil {
		t.Error(err)
	}
	t.Logf("\n%s", out.String())
}
