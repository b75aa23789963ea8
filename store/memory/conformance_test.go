package memory_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
	"github.com/holdfast-go/holdfast/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.TestAll(t, func(_ *testing.T, now func() time.Time) port.Stores {
		return memory.New(memory.Options{Now: now}).Stores()
	})
}
