// Package load runs replicas of the payment service and a load generator against them,
// and judges what they let in.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
)

// A Plan is what to do.
type Plan struct {
	Replicas int
	Rate     int // requests a second, of all together
	For      time.Duration
	Redis    string // "" is a stand-in in this process
}

// Run starts the replicas, sends them requests for payments, and prints what came of it.
// Its error is that the load could not be made, or that more was let in than may be.
func (p Plan) Run(ctx context.Context, out io.Writer) error {
	if p.Replicas < 1 || p.Rate < 1 || p.For <= 0 {
		return errors.New("load: there must be replicas, requests and time for them")
	}
	if p.Redis == "" {
		stand, err := miniredis.Run()
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		defer stand.Close()
		p.Redis = stand.Addr()
	}
	seen, metrics, err := p.measure(ctx)
	if err != nil {
		return err
	}
	limit := payment.Admission().Limit
	result := judge(seen, limit)
	return errors.Join(result.print(out, p, metrics), result.err)
}

// measure has the load done, and brings back what the replicas saw.
func (p Plan) measure(ctx context.Context) ([]report, *vegeta.Metrics, error) {
	var members []*member
	var addresses []string
	for range p.Replicas {
		m, err := start(ctx, p.Redis)
		if err != nil {
			return nil, nil, errors.Join(err, endAll(members))
		}
		members, addresses = append(members, m), append(addresses, m.address)
	}
	metrics := p.attack(ctx, addresses)
	var seen []report
	var failed error
	for _, m := range members {
		said, err := m.end()
		seen, failed = append(seen, said), errors.Join(failed, err)
	}
	return seen, metrics, failed
}

func endAll(members []*member) error {
	var failed error
	for _, m := range members {
		_, err := m.end()
		failed = errors.Join(failed, err)
	}
	return failed
}

// attack sends requests at a steady rate, to one replica after the other.
func (p Plan) attack(ctx context.Context, addresses []string) *vegeta.Metrics {
	attacker := vegeta.NewAttacker(vegeta.KeepAlive(true), vegeta.Connections(256), vegeta.Timeout(5*time.Second))
	var metrics vegeta.Metrics
	var sent atomic.Int64
	targets := func(t *vegeta.Target) error {
		n := int(sent.Add(1))
		t.Method = http.MethodPost
		t.URL = addresses[n%len(addresses)] + "/payments"
		t.Body = []byte(`{"id":"` + strconv.Itoa(n) + `","customer":"ada","cents":100}`)
		return ctx.Err()
	}
	results := attacker.Attack(targets, vegeta.Rate{Freq: p.Rate, Per: time.Second}, p.For, "payments")
	for r := range results {
		metrics.Add(r)
	}
	metrics.Close()
	return &metrics
}
