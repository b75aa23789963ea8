package telemetry

// The table of names. docs/telemetry.md has it for readers, and a test in
// integration/telemetry holds the two against each other and against what is scraped.
//
//nolint:gochecknoglobals // constants, if Go had such of structs
var (
	calls = &Metric{
		"holdfast.calls", Counter, "{call}", "Calls of guards that have ended.",
		[]string{"guard", "outcome", "error.type"},
		nil,
	}
	callAttempts = &Metric{
		"holdfast.call.attempts", Counter, "{attempt}", "How often functions ran under a guard.",
		[]string{"guard"},
		nil,
	}
	callDuration = &Metric{
		"holdfast.call.duration", Histogram, "s", "How long calls of guards took, with all attempts and pauses.",
		[]string{"guard", "outcome"},
		[]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
	}
	timeouts = &Metric{
		"holdfast.timeouts", Counter, "{timeout}", "Attempts that the deadline of a timeout ended.",
		[]string{"guard"},
		nil,
	}

	limitDecisions = &Metric{
		"holdfast.limit.decisions", Counter, "{decision}", "What limits said to attempts.",
		[]string{"guard", "limit", "result", "degraded"},
		nil,
	}

	breakerDecisions = &Metric{
		"holdfast.breaker.decisions", Counter, "{decision}", "What breakers said to attempts.",
		[]string{"guard", "breaker", "result"},
		nil,
	}
	breakerReports = &Metric{
		"holdfast.breaker.reports", Counter, "{report}", "What breakers were told of attempts that they had let through.",
		[]string{"guard", "breaker", "outcome"},
		nil,
	}
	breakerTransitions = &Metric{
		"holdfast.breaker.transitions", Counter, "{transition}", "Changes of a breaker's state that this replica saw.",
		[]string{"breaker", "scope", "from", "to"},
		nil,
	}
	breakerState = &Metric{
		"holdfast.breaker.state", Gauge, "{breaker}", "1 for the state that a layer of a breaker is in, 0 for the others.",
		[]string{"breaker", "scope", "state"},
		nil,
	}
	breakerOverride = &Metric{
		"holdfast.breaker.override", Gauge, "{override}", "1 for what an operator forces a breaker to, 0 for what not.",
		[]string{"breaker", "force"},
		nil,
	}
	breakerKeysCalled = &Metric{
		"holdfast.breaker.keys.called", Gauge, "{key}", "Keys of a keyed breaker that were called lately.",
		[]string{"breaker"},
		nil,
	}
	breakerKeysOpen = &Metric{
		"holdfast.breaker.keys.open", Gauge, "{key}", "Keys of a keyed breaker that were called lately and are open or half-open.",
		[]string{"breaker"},
		nil,
	}
	breakerKeysExceeded = &Metric{
		"holdfast.breaker.keys.exceeded", Gauge, "{breaker}", "1 while more keys than MaxOpenShare are open, and let probes through.",
		[]string{"breaker"},
		nil,
	}
	breakerCallsUnprotected = &Metric{
		"holdfast.breaker.calls.unprotected", Total, "{call}", "Calls of keys that had no breaker, for want of room.",
		[]string{"breaker"},
		nil,
	}

	bulkheadDecisions = &Metric{
		"holdfast.bulkhead.decisions", Counter, "{decision}", "What bulkheads said to attempts.",
		[]string{"guard", "bulkhead", "result", "degraded"},
		nil,
	}
	bulkheadRunning = &Metric{
		"holdfast.bulkhead.running", Gauge, "{call}", "Calls of this replica that run in a bulkhead.",
		[]string{"bulkhead"},
		nil,
	}
	bulkheadWaiting = &Metric{
		"holdfast.bulkhead.waiting", Gauge, "{call}", "Calls of this replica that wait for room in a bulkhead.",
		[]string{"bulkhead"},
		nil,
	}
	bulkheadRoom = &Metric{
		"holdfast.bulkhead.room", Gauge, "{call}", "How many calls a bulkhead lets run on this replica now.",
		[]string{"bulkhead"},
		nil,
	}

	exclusiveDecisions = &Metric{
		"holdfast.exclusive.decisions", Counter, "{decision}", "What exclusives said to attempts.",
		[]string{"guard", "exclusive", "result"},
		nil,
	}
	exclusiveLosses = &Metric{
		"holdfast.exclusive.losses", Counter, "{loss}", "Locks that were lost while their call ran.",
		[]string{"guard", "exclusive"},
		nil,
	}

	retryDecisions = &Metric{
		"holdfast.retry.decisions", Counter, "{decision}", "What retries did after an error that may go away.",
		[]string{"guard", "budget", "result"},
		nil,
	}
	hedgeDecisions = &Metric{
		"holdfast.hedge.decisions", Counter, "{decision}", "What hedges did beside a slow attempt.",
		[]string{"guard", "budget", "result"},
		nil,
	}

	storeCallDuration = &Metric{
		"holdfast.store.call.duration", Histogram, "s", "How long calls of the store took.",
		[]string{"op", "error.type"},
		[]float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1},
	}
	storeCallItems = &Metric{
		"holdfast.store.call.items", Counter, "{item}", "Questions that calls of the store carried.",
		[]string{"op", "result"},
		nil,
	}
	storeUp = &Metric{
		"holdfast.store.up", Gauge, "{store}", "0 while some part of the store does not answer, else 1.",
		nil, nil,
	}
	replicas = &Metric{
		"holdfast.replicas", Gauge, "{replica}", "Replicas of the fleet that this one last saw; 0 when not known.",
		nil, nil,
	}

	events = &Metric{
		"holdfast.events", Counter, "{event}", "Edges that this replica told of.",
		[]string{"kind", "name"},
		nil,
	}

	metrics = []*Metric{
		calls, callAttempts, callDuration, timeouts,
		limitDecisions,
		breakerDecisions, breakerReports, breakerTransitions, breakerState, breakerOverride,
		breakerKeysCalled, breakerKeysOpen, breakerKeysExceeded, breakerCallsUnprotected,
		bulkheadDecisions, bulkheadRunning, bulkheadWaiting, bulkheadRoom,
		exclusiveDecisions, exclusiveLosses,
		retryDecisions, hedgeDecisions,
		storeCallDuration, storeCallItems, storeUp, replicas,
		events,
	}
)
