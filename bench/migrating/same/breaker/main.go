// Command breaker is a program that uses gobreaker. It prints what it was told.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/sony/gobreaker/v2"
)

var (
	errBackend  = errors.New("no answer")
	errNotFound = errors.New("not found")
)

func main() {
	settings := gobreaker.Settings{
		Name:          "default",
		MaxRequests:   2,
		Timeout:       400 * time.Millisecond,
		OnStateChange: func(name string, from, to gobreaker.State) { fmt.Println(name, "from", from, "to", to) },
		IsSuccessful:  func(err error) bool { return err == nil || errors.Is(err, errNotFound) },
		IsExcluded:    func(err error) bool { return errors.Is(err, context.Canceled) },
	}
	story(gobreaker.NewCircuitBreaker[int](settings))

	settings.Name = "own"
	settings.ReadyToTrip = func(c gobreaker.Counts) bool { return c.Requests >= 4 && c.TotalFailures >= 2 }
	story(gobreaker.NewCircuitBreaker[int](settings))

	steps(gobreaker.NewTwoStepCircuitBreaker[int](gobreaker.Settings{Name: "two-step", Timeout: 400 * time.Millisecond}))
}

func story(cb *gobreaker.CircuitBreaker[int]) {
	call := func(err error) {
		n, got := cb.Execute(func() (int, error) { return 42, err })
		fmt.Println(cb.Name(), n, got, cb.State(), fmt.Sprintf("%+v", cb.Counts()))
	}
	for _, err := range []error{nil, errNotFound, context.Canceled, errBackend, nil} {
		call(err)
	}
	for cb.State() == gobreaker.StateClosed {
		call(errBackend)
	}
	call(nil)
	for cb.State() == gobreaker.StateOpen {
		time.Sleep(time.Millisecond)
	}
	call(errBackend)
	for cb.State() == gobreaker.StateOpen {
		time.Sleep(time.Millisecond)
	}
	call(nil)
	call(nil)
	call(nil)
}

func steps(cb *gobreaker.TwoStepCircuitBreaker[int]) {
	for range 6 {
		done, err := cb.Allow()
		if err != nil {
			log.Fatal(err)
		}
		done(errBackend)
	}
	_, err := cb.Allow()
	fmt.Println(cb.Name(), cb.State(), err, err == gobreaker.ErrOpenState) //nolint:errorlint // as programs do it
	for cb.State() == gobreaker.StateOpen {
		time.Sleep(time.Millisecond)
	}
	done, err := cb.Allow()
	fmt.Println(cb.State(), err)
	_, err = cb.Allow()
	fmt.Println(cb.State(), err, err == gobreaker.ErrTooManyRequests) //nolint:errorlint // as programs do it
	done(nil)
	fmt.Println(cb.State(), cb.Counts())
}
