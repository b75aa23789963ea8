package redisstore

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// readSnapshot reads the whole hash of a breaker, as breaker_step.lua has it.
func readSnapshot(nowMicro int64, h map[string]string) (breaker.Snapshot, error) {
	fields := make([]any, len(viewFields))
	for i, name := range viewFields {
		if text, ok := h[name]; ok {
			fields[i] = text
		}
	}
	v, err := readState(nowMicro, fields)
	if err != nil {
		return breaker.Snapshot{}, err
	}
	s := breaker.Snapshot{View: breaker.View{
		Epoch: v.Epoch, State: v.State, ForMicro: v.For.Microseconds(), Base: v.Base, Fresh: v.Fresh,
		Order: readOrder(nowMicro, fields[8], fields[9], fields[10]),
	}}
	if v.Epoch == 0 {
		return s, nil
	}
	number := func(field string) int64 {
		n, _ := parse(h[field])
		return n
	}
	s.Rules = readRules(h["p"])
	s.AgeMicro, s.Growth, s.Disputed = max(nowMicro-number("t"), 0), number("g"), number("x") > 0
	s.Bad, s.BadWeight, s.AllWeight = number("nb"), number("wb"), number("wa")
	for field, text := range h {
		switch kind, replica, _ := strings.Cut(field, ":"); kind {
		case "r":
			s.Votes = append(s.Votes, readVote(nowMicro, replica, text))
		case "h":
			s.Probers = append(s.Probers, breaker.Prober{Replica: replica, Succeeded: text == "s", Failed: text == "x"})
		}
	}
	s.Leases = readLeases(nowMicro, h["q"])
	s.Sort()
	return s, nil
}

// readRules reads a claim: "1:<version>:<min replicas>: …".
func readRules(claim string) breaker.Rules {
	_, rest, _ := strings.Cut(claim, ":")
	return breaker.RulesOf(parseAll(rest))
}

// parseAll reads numbers with colons between; one that is none is 0.
func parseAll(text string) []int64 {
	words := strings.Split(text, ":")
	n := make([]int64, len(words))
	for i, word := range words {
		n[i], _ = parse(word)
	}
	return n
}

// readVote reads "<seq>:<bad>:<weight>:<at>:<for>:<calls>:<failures>:<open>:<last>", of which an
// older replica writes less, and a newer one more.
func readVote(nowMicro int64, replica, text string) breaker.Vote {
	n := append(parseAll(text), make([]int64, 9)...)
	age := max(nowMicro-n[3], 0)
	return breaker.Vote{
		Replica: replica, Bad: n[1] != 0, Weight: n[2], AgeMicro: age, ForMicro: max(n[4]-age, 0), Calls: n[5], Failures: n[6],
		Open: n[7] != 0, Last: breaker.Trouble(min(n[8], int64(math.MaxUint8))),
	}
}

// readLeases reads "<token>:<at>:<for>:<replica>;…". What cannot be read is left out.
func readLeases(nowMicro int64, text string) []breaker.Lease {
	var all []breaker.Lease
	for lease := range strings.SplitSeq(text, ";") {
		parts := strings.SplitN(lease, ":", 4)
		if len(parts) < 4 {
			continue
		}
		at, _ := parse(parts[1])
		lasts, _ := parse(parts[2])
		all = append(all, breaker.Lease{Replica: parts[3], ForMicro: max(lasts-max(nowMicro-at, 0), 0)})
	}
	return all
}

// readOrder reads an operator's order: "<serial>:<force>:<reset>:<at>:<for>", who, and
// why. One that cannot be read is none.
func readOrder(nowMicro int64, what, who, why any) breaker.Order {
	text, _ := what.(string)
	words := strings.Split(text, ":")
	if len(words) != 5 {
		return breaker.Order{}
	}
	var n [5]int64
	for i, word := range words {
		x, ok := parse(word)
		if !ok {
			return breaker.Order{}
		}
		n[i] = x
	}
	o := breaker.Order{
		Serial: uint64(n[0]), Force: domain.Force(min(n[1], math.MaxUint8)), Reset: n[2] == 1,
		ForMicro: max(n[4]-max(nowMicro-n[3], 0), 0),
	}
	o.By, _ = who.(string)
	o.Reason, _ = why.(string)
	return o
}

// readRecord reads an entry of the stream of records.
func readRecord(h map[string]any) (r breaker.Record, ok bool) {
	text := func(field string) string {
		s, _ := h[field].(string)
		return s
	}
	number := func(field string) int64 {
		n, _ := parse(cmp.Or(text(field), "0"))
		return n
	}
	r = breaker.Record{
		AtMicro: number("t"), Kind: breaker.RecordKind(min(number("k"), math.MaxUint8)), Epoch: uint64(number("e")),
		State: domain.State(min(number("s"), math.MaxUint8)), Lost: number("l") == 1, Replica: text("r"),
		Bad: number("b") == 1, Weight: number("w"),
	}
	if r.Kind == breaker.RecordOrder {
		r.Order = readOrder(r.AtMicro, h["o"], h["ob"], h["or"])
	}
	known := []breaker.RecordKind{breaker.RecordTurn, breaker.RecordVote, breaker.RecordOrder}
	return r, slices.Contains(known, r.Kind) && r.State <= domain.StateOpen
}
