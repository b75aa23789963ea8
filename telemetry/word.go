package telemetry

import (
	"fmt"
	"strconv"
	"strings"
)

// Word is what a label says for a value of a closed list, an outcome or a state for one:
// its own word, with '_' for what query languages stumble over.
func Word(value fmt.Stringer) string { return plain(value.String()) }

func plain(text string) string { return strings.NewReplacer(" ", "_", "-", "_").Replace(text) }

func yesNo(is bool) string { return strconv.FormatBool(is) }

// The results of what has no word of its own in orchestrator.
const (
	resultExhausted   = "exhausted"
	resultBudgetEmpty = "budget_empty"
	resultAnswered    = "answered"
	resultFailed      = "failed"
)
