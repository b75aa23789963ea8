package fleet

import (
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/domain"
)

// TestIncarnations: whatever a replica calls itself, its name in the store is one, says
// who it is, and is nobody else's.
func TestIncarnations(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"": "", "pod-7": "pod-7-", "a b/c": "a-b-c-", "ключ": "-----", strings.Repeat("x", 300): strings.Repeat("x", 40) + "-",
	} {
		got := incarnationOf(id)
		if err := domain.ValidateName("replica", got); err != nil || !strings.HasPrefix(got, want) || got == incarnationOf(id) {
			t.Errorf("incarnationOf(%q) = %q: %v", id, got, err)
		}
	}
}
