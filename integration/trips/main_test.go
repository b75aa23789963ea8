package main

import (
	"os"
	"testing"

	"github.com/holdfast-go/holdfast/internal/leaktest"
)

// The replicas of a test are processes of the test binary.
func TestMain(m *testing.M) {
	if order := os.Getenv(replicaEnv); order != "" {
		os.Exit(replicaMain(order, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(leaktest.Main(m))
}
