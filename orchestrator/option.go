package orchestrator

import (
	"fmt"

	"github.com/holdfast-go/holdfast/domain"
)

// A GuardOption gives a guard what policies, being plain data, cannot hold.
type GuardOption func(*settings) error

// settings are a guard's options, and the configuration's where it has none.
type settings struct {
	classify    func(error) domain.Outcome
	classifyFor map[string]func(error) domain.Outcome // by the breaker's name
	retryIf     func(error) bool
}

// Classify reads the errors of the guard's calls, for all its breakers, in
// place of Config.Classify. f is called with each error of the function but
// never with nil, which is a success. Errors that came after the caller's own
// context had ended are marked (see [domain.MarkIgnored]) and so are Ignored by
// [domain.Classify] and all that is built on it.
func Classify(f func(error) domain.Outcome) GuardOption {
	return func(s *settings) error {
		if f == nil {
			return invalid(kindGuard, "Classify", "is nil")
		}
		s.classify = f
		return nil
	}
}

// ClassifyFor is [Classify] for one breaker of the guard only, so that nested
// breakers can each watch for something else. That the guard has no breaker of
// that name is an error.
func ClassifyFor(breaker string, f func(error) domain.Outcome) GuardOption {
	return func(s *settings) error {
		if f == nil {
			return invalid(kindGuard, "ClassifyFor", "is nil")
		}
		s.classifyFor[breaker] = f
		return nil
	}
}

// RetryIf says which errors the guard's retries try again after, in place of
// [domain.IsRetryable]. It is asked about refusals too, those of an open
// breaker for one.
func RetryIf(f func(error) bool) GuardOption {
	return func(s *settings) error {
		if f == nil {
			return invalid(kindGuard, "RetryIf", "is nil")
		}
		s.retryIf = f
		return nil
	}
}

func (c Config) settings(opts []GuardOption) (settings, error) {
	s := settings{
		classify:    c.Classify,
		classifyFor: make(map[string]func(error) domain.Outcome),
		retryIf:     domain.IsRetryable,
	}
	if s.classify == nil {
		s.classify = domain.Classify
	}
	for _, apply := range opts {
		if err := apply(&s); err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

// fit reports a classifier for a breaker that is not among the layers.
func (s settings) fit(layers []domain.Policy) error {
	for name := range s.classifyFor {
		if !hasBreaker(layers, name) {
			return invalid(kindGuard, "ClassifyFor", fmt.Sprintf("names the breaker %q, which the policy does not have", name))
		}
	}
	return nil
}

func hasBreaker(layers []domain.Policy, name string) bool {
	for _, layer := range layers {
		if b, ok := layer.(domain.CircuitBreaker); ok && b.Name == name {
			return true
		}
	}
	return false
}

// classifierOf returns what reads errors for one breaker.
func (s settings) classifierOf(breaker string) func(error) domain.Outcome {
	if f, ok := s.classifyFor[breaker]; ok {
		return f
	}
	return s.classify
}
