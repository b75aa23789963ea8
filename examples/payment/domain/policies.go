package payment

import (
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

// Processing is what a payment needs: five seconds in all, three attempts, a breaker that
// sees each of them and that all replicas share, no more calls than the provider's
// contract allows the whole fleet, and two seconds for each.
func Processing() hold.Policy {
	return hold.Combine(
		hold.Timeout{Duration: 5 * time.Second},
		hold.Retry{
			MaxAttempts: 3,
			Backoff:     hold.Exponential(100*time.Millisecond, 2, time.Second),
			Budget:      hold.RetryBudget{Name: "provider", Ratio: 0.2, PerSecond: 5},
		},
		hold.CircuitBreaker{Name: "provider", FailureThreshold: 5, RecoveryTimeout: 10 * time.Second},
		hold.RateLimit{Name: "provider", Limit: hold.PerSecond(2000), MaxWait: time.Second},
		hold.Timeout{Duration: 2 * time.Second},
	)
}

// Looking is what a question about a payment needs. It has the breaker of Processing,
// since it asks the same provider.
func Looking() hold.Policy {
	return hold.Combine(
		hold.Timeout{Duration: time.Second},
		hold.CircuitBreaker{Name: "provider", FailureThreshold: 5, RecoveryTimeout: 10 * time.Second},
	)
}

// Admission is how many requests the service takes, on all its replicas together,
// whichever way they come in. Replicas take some ahead, so that most requests wait for
// nothing at the door.
func Admission() hold.RateLimit {
	return hold.RateLimit{Limit: hold.PerSecond(1000).WithBurst(200), Lease: true}
}
