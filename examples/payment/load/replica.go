package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
	"github.com/holdfast-go/holdfast/examples/payment/infrastructure"
	"github.com/holdfast-go/holdfast/examples/payment/presentation/rest"
	"github.com/holdfast-go/holdfast/examples/payment/service"
	"github.com/holdfast-go/holdfast/fleet"
)

// replicaEnv tells a process that it is a replica, and the address of its Redis.
const replicaEnv = "HOLDFAST_PAYMENT_REPLICA"

// Replica runs this process as a replica when the load generator started it as one.
func Replica(in io.Reader, out io.Writer) (is bool, err error) {
	redis, is := os.LookupEnv(replicaEnv)
	if !is {
		return false, nil
	}
	return true, serve(redis, in, out)
}

// serve is one replica: it says its address, serves until in ends, and says what it saw.
func serve(redis string, in io.Reader, out io.Writer) error {
	provider := httptest.NewServer(infrastructure.NewSimulator())
	defer provider.Close()
	seen := &sighting{}
	s, err := service.New(service.Config{
		Provider: provider.URL, Redis: redis, Watch: seen.watch, Fleet: fleet.Config{ExpectedReplicas: 2},
	})
	if err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, s.Close(context.Background()))
	}
	server := &http.Server{Handler: seen.time(s.HTTP), ReadHeaderTimeout: time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	reply := json.NewEncoder(out)
	err = reply.Encode(hello{"http://" + listener.Addr().String()})
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	err = errors.Join(err, server.Close(), s.Close(context.Background()))
	serving.Wait()
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	return reply.Encode(seen.report()) //nolint:wrapcheck // a broken pipe
}

// hello is what a replica says first.
type hello struct {
	Address string `json:"address"`
}

// A report is what it says in the end, in µs: when each request passed the door, by the
// clock of the machine, and how long the door took for those it let in and for those it
// turned away.
type report struct {
	Passed  []int64 `json:"passed"`
	Let     []int64 `json:"let"`
	Refused []int64 `json:"refused"`
}

// A sighting notes when requests come, pass and leave.
type sighting struct {
	mu   sync.Mutex
	seen report
}

type arrivalKey struct{}

// time notes how long requests take that do not pass the door.
func (s *sighting) time(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &arrival{at: now()}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), arrivalKey{}, a)))
		if !a.passed {
			took := now().Sub(a.at).Microseconds()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen.Refused = append(s.seen.Refused, took)
		}
	})
}

type arrival struct {
	at     time.Time
	passed bool
}

// watch notes which requests pass the door.
func (s *sighting) watch(inner rest.Payments) rest.Payments { return passage{inner, s} }

type passage struct {
	rest.Payments

	seen *sighting
}

func (p passage) Pay(ctx context.Context, order payment.Payment) (payment.Receipt, error) {
	if a, ok := ctx.Value(arrivalKey{}).(*arrival); ok {
		p.seen.pass(a)
	}
	return p.Payments.Pay(ctx, order) //nolint:wrapcheck // it is as if this were not there
}

func (s *sighting) pass(a *arrival) {
	at := now()
	a.passed = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Passed = append(s.seen.Passed, at.UnixMicro())
	s.seen.Let = append(s.seen.Let, at.Sub(a.at).Microseconds())
}

func (s *sighting) report() report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// now is when things happen here.
func now() time.Time { return time.Now() } //nolint:forbidigo // the one place of the package
