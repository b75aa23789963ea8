package domain_test

import (
	"math"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

func TestValidateKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy hold.CircuitBreaker
		field  string
	}{
		{"keys", hold.CircuitBreaker{Keyed: true}, ""},
		{"a number of keys, and none come", hold.CircuitBreaker{MaxKeys: 10}, "MaxKeys"},
		{"a share of keys, and none come", hold.CircuitBreaker{MaxOpenShare: 0.5}, "MaxOpenShare"},
		{"negative keys", hold.CircuitBreaker{Keyed: true, MaxKeys: -1}, "MaxKeys"},
		{"as many as there may be", hold.CircuitBreaker{Keyed: true, MaxKeys: 100_000}, ""},
		{"one more", hold.CircuitBreaker{Keyed: true, MaxKeys: 100_001}, "MaxKeys"},
		{"any number", hold.CircuitBreaker{Keyed: true, MaxKeys: math.MaxInt}, "MaxKeys"},
		{"as many as may be shared", hold.CircuitBreaker{Keyed: true, MaxKeys: 500, Sharing: hold.ShareQuorum}, ""},
		{"one more is too many to share", hold.CircuitBreaker{Keyed: true, MaxKeys: 501, Sharing: hold.ShareQuorum}, "MaxKeys"},
		{"and as easily", hold.CircuitBreaker{Keyed: true, MaxKeys: 501, Sharing: hold.ShareAny}, "MaxKeys"},
		{"it may be said that they are not", hold.CircuitBreaker{Keyed: true, MaxKeys: 501, Sharing: hold.ShareLocal}, ""},
		{"a negative share", hold.CircuitBreaker{Keyed: true, MaxOpenShare: -0.1}, "MaxOpenShare"},
		{"percent for a share", hold.CircuitBreaker{Keyed: true, MaxOpenShare: 50}, "MaxOpenShare"},
		{"a share below the thousandth", hold.CircuitBreaker{Keyed: true, MaxOpenShare: 0.0009}, "MaxOpenShare"},
		{"a share that is no number", hold.CircuitBreaker{Keyed: true, MaxOpenShare: math.NaN()}, "MaxOpenShare"},
		{"all", hold.CircuitBreaker{Keyed: true, MaxOpenShare: 1}, ""},
		{"a ramp for each", hold.CircuitBreaker{Keyed: true, Sharing: hold.ShareQuorum, Ramp: time.Second}, ""},
		{"a ramp, and they are not shared", hold.CircuitBreaker{Keyed: true, Sharing: hold.ShareLocal, Ramp: time.Second}, "Ramp"},
		{"nor by default", hold.CircuitBreaker{Keyed: true, Ramp: time.Second}, "Ramp"},
		{"the last 1,000 calls of 1,000", hold.CircuitBreaker{Keyed: true, CountWindow: 1000}, ""},
		{"more than are remembered", hold.CircuitBreaker{Keyed: true, CountWindow: 1001}, "CountWindow"},
		{"the last calls of few", hold.CircuitBreaker{Keyed: true, MaxKeys: 100, CountWindow: 10_000}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantField(t, tt.policy.Validate(), tt.field)
		})
	}
}

// A breaker with keys shares nothing unless it is told to, and then has fewer of them.
func TestDefaultsOfKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		given, want hold.CircuitBreaker
	}{
		{hold.CircuitBreaker{}, hold.CircuitBreaker{Sharing: hold.ShareQuorum}},
		{hold.CircuitBreaker{Sharing: hold.ShareLocal}, hold.CircuitBreaker{Sharing: hold.ShareLocal}},
		{
			hold.CircuitBreaker{Keyed: true},
			hold.CircuitBreaker{Keyed: true, Sharing: hold.ShareLocal, MaxKeys: 1000, MaxOpenShare: 1},
		},
		{
			hold.CircuitBreaker{Keyed: true, Sharing: hold.ShareQuorum},
			hold.CircuitBreaker{Keyed: true, Sharing: hold.ShareQuorum, MaxKeys: 100, MaxOpenShare: 1},
		},
		{
			hold.CircuitBreaker{Keyed: true, MaxKeys: 7, MaxOpenShare: 0.3, Sharing: hold.ShareAggregate},
			hold.CircuitBreaker{Keyed: true, MaxKeys: 7, MaxOpenShare: 0.3, Sharing: hold.ShareAggregate},
		},
	} {
		got := tt.given.WithDefaults()
		of := hold.CircuitBreaker{Keyed: got.Keyed, Sharing: got.Sharing, MaxKeys: got.MaxKeys, MaxOpenShare: got.MaxOpenShare}
		if of != tt.want {
			t.Errorf("%v has %v; want %v", tt.given, of, tt.want)
		}
		if again := got.WithDefaults(); again != got || got.Validate() != nil {
			t.Errorf("%v: defaults twice: %v, %v", tt.given, again, got.Validate())
		}
	}
}
