package policy

import "github.com/holdfast-go/holdfast/domain"

// A Set is the policies of one file. It is not changed after it was read, and so is safe
// for concurrent use.
type Set struct {
	// Policies are those that the file names, all of them valid.
	Policies map[string]domain.Policy
	// Operations names the policy of each operation that the file maps.
	Operations map[string]string
	// Default names the policy of all others; "" when the file has none.
	Default string
	// Deprecated are spellings that should be replaced, in the order of the file.
	Deprecated []Deprecation
}

// For returns the policy of an operation: the one that Operations maps it to, else the
// policy of its own name, else the default; false when there is none of them.
func (s *Set) For(operation string) (domain.Policy, bool) {
	name, mapped := s.Operations[operation]
	if !mapped {
		name = operation
	}
	if p, named := s.Policies[name]; named {
		return p, true
	}
	p, ok := s.Policies[s.Default]
	return p, ok
}
