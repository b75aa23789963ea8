package policyfile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/contrib/policyfile"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/policy"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A program makes its guards with the policies of a file, and follows the file.
func Example() {
	path := filepath.Join(os.TempDir(), "holdfast-example.yaml")
	defer os.Remove(path)
	write := func(attempts int) {
		text := fmt.Sprintf("policies:\n  payments: timeout(5s) > retry(max_attempts=%d)\n", attempts)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	write(3)

	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer orch.Close(context.Background())
	set, err := policyfile.Load(path)
	if err != nil {
		panic(err) // which says in which line and column
	}
	p, _ := set.For("payments")
	if _, err := orch.Guard("payments", p); err != nil {
		panic(err)
	}

	write(5)
	ctx, stop := context.WithCancel(context.Background())
	err = policyfile.Watch(ctx, path, policyfile.Config{
		Changed: func(set *policy.Set) error {
			changes, err := policyfile.Apply(orch, set)
			for _, c := range changes {
				fmt.Printf("%s: %s is now %s\n", c.Guard, c.Before, c.After)
			}
			stop() // a program would go on
			return err
		},
		Refused: func(err error) { fmt.Println("the policies stay as they were:", err) },
	})
	if err != nil {
		panic(err)
	}
	// Output:
	// payments: timeout(5s) > retry(max_attempts=3) is now timeout(5s) > retry(max_attempts=5)
}
