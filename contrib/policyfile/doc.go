// Package policyfile reads policies from files, in YAML and in JSON, and watches them.
//
//	set, err := policyfile.Load("/etc/shop/policies.yaml")
//	…
//	p, ok := set.For("payments")
//	guard, err := orch.Guard("payments", p)
//	…
//	err = policyfile.Watch(ctx, "/etc/shop/policies.yaml", policyfile.Config{ // on a goroutine of its own
//		Changed: func(set *policy.Set) error {
//			_, err := policyfile.Apply(orch, set)
//			return err
//		},
//		Refused: func(err error) { slog.Warn("the policies stay as they were", "err", err) },
//	})
//
// What a file may hold, [policy.Read] says, and docs/policies.md with examples. A YAML file
// and a JSON file of the same content give equal policies and equal errors.
//
// # YAML
//
// YAML is what version 1.2 has, less what surprises: one document, no tags, no merge keys.
// Anchors and aliases are read, as long as they do not blow the file up.
package policyfile
