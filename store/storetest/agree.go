package storetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
)

// TestAgree runs n random operations, clock steps back included, on every store
// and fails at the first reply in which they differ. The seed is logged; a seed
// other than 0 repeats a run.
func TestAgree(t *testing.T, n int, seed uint64, stores map[string]Maker) {
	t.Helper()
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	tape := newTape(seed)
	seen := make(map[string]int)
	made := make(map[string]port.Stores, len(stores))
	for name, maker := range stores {
		made[name] = maker(t, tape.clock.now)
	}
	for done := 0; done < n; {
		op := tape.next()
		done += op.size
		var first, firstName string
		for name, store := range made {
			got := op.run(t, store)
			if first == "" {
				first, firstName = got, name
			}
			if got != first {
				t.Fatalf("seed %d, operation %d, %s\n%s: %s\n%s: %s", seed, done, op.text, firstName, first, name, got)
			}
		}
		tape.learn(op)
		seen[op.saw]++
	}
	t.Logf("%d operations; seen: %v", n, seen)
	for _, must := range []string{"closed", "half-open", "open", "granted", "lent", "not lent", "waits", "left the queue", "settled", "holds", "gives back", "ordered"} {
		if n >= 10_000 && seen[must] < 10 {
			t.Errorf("the tape is too tame: %q was seen %d times", must, seen[must])
		}
	}
}

// A tape draws operations. It knows what the stores answered last, so that what
// it asks next makes sense most of the time.
type tape struct {
	*rand.Rand
	clock  *clock
	rules  []bucket.Rule
	claims []breaker.Rules
	known  map[port.ID]uint64
	tokens map[port.ID]uint64
	seq    uint64
	places map[string]port.TakeReply // in queues, that were given last, by the bucket's key
}

// An operation is one call, made on each store.
type operation struct {
	text  string
	size  int
	run   func(*testing.T, port.Stores) string
	id    port.ID
	epoch uint64 // as the last store answered
	saw   string // of a breaker: its state, or that it granted a probe; of a bucket, whether it lent
}

// rulesOfBucket is how many of a tape's rules are brought to the same bucket.
const rulesOfBucket = 3

func newTape(seed uint64) *tape {
	r := rand.New(rand.NewPCG(seed, 1))
	tp := &tape{Rand: r, clock: newClock(), known: make(map[port.ID]uint64), tokens: make(map[port.ID]uint64), places: make(map[string]port.TakeReply)}
	for _, l := range []domain.RateLimit{
		limit(10, time.Second, 10), limit(3, time.Second, 5), limit(1000, time.Second, 100), limit(7, time.Minute, 20),
		version(limit(10, time.Second, 100), 1), version(limit(1, time.Hour, 3), 2), version(limit(999_983, time.Second, 77), 2),
		limit(1, 86400*time.Second, 6000), version(limit(1<<31-1, time.Second, 1<<20), 1),
		with(limit(5, time.Second, 6), limit(30, time.Minute, 40)),
		version(with(limit(8, time.Second, 7), limit(30, time.Minute, 50), limit(300, time.Hour, 200)), 1),
		version(limit(20, time.Second, 30), 2),
		with(limit(2, time.Second, 7), limit(10, time.Minute, 9)), limit(2, time.Second, 7),
		with(limit(2, time.Second, 7), limit(20, time.Minute, 12), limit(100, time.Hour, 50), limit(1000, 24*time.Hour, 200)),
	} {
		rule, err := bucket.Compile(l)
		if err != nil {
			panic(err)
		}
		tp.rules = append(tp.rules, rule)
	}
	for _, c := range []domain.CircuitBreaker{
		{},
		{Version: 1},
		{MinReplicas: 3, Probes: 2},
		{Sharing: domain.ShareAny, SuccessThreshold: 1},
		{Quorum: 0.9, MaxHalfOpen: 3 * time.Second},
	} {
		// Short, so that the tape sees many rounds of open, half-open, closed.
		c.RecoveryTimeout, c.MaxRecoveryTimeout, c.ProbeLease = time.Second, 4*time.Second, 2*time.Second
		c.Ramp = time.Duration(len(tp.claims)%2) * 5 * time.Second
		rules, err := breaker.Compile(c)
		if err != nil {
			panic(err)
		}
		tp.claims = append(tp.claims, rules)
	}
	return tp
}

// next moves the clock, mostly forward, and draws an operation.
func (tp *tape) next() *operation {
	switch tp.IntN(50) {
	case 0:
		tp.clock.move(-time.Duration(tp.IntN(10_000)) * time.Millisecond)
	case 1:
		tp.clock.move(time.Duration(tp.IntN(100)) * time.Second)
	case 2:
		tp.clock.move(-time.Duration(tp.IntN(3600)) * time.Second)
	default:
		tp.clock.move(time.Duration(tp.IntN(200_000)) * time.Microsecond)
	}
	switch tp.IntN(10) {
	case 0, 1, 2:
		return tp.take()
	case 3, 4, 5:
		return tp.report()
	case 6, 7, 8:
		return tp.probe()
	default:
		switch tp.IntN(5) {
		case 4:
			return tp.order()
		case 0:
			return tp.beat()
		case 1, 2:
			if tp.IntN(3) == 0 {
				return tp.look()
			}
			return tp.hold()
		default:
			return tp.read()
		}
	}
}

func (tp *tape) take() *operation {
	in := make([]port.TakeRequest, 1+tp.IntN(12))
	homes := len(tp.rules) / rulesOfBucket
	home := tp.IntN(homes)
	for i := range in {
		if tp.IntN(3) == 0 {
			home = tp.IntN(homes)
		}
		in[i] = port.TakeRequest{
			Bucket: port.ID{Name: "limit", Key: strconv.Itoa(home)},
			Manner: bucket.Manner{Carry: domain.Carry(max(tp.IntN(8)-5, 0)), First: []int64{0, 0, domain.FirstEmpty, 3}[home%4] * int64(min(tp.IntN(8), 1))},
			Rule:   tp.rules[home*rulesOfBucket+tp.IntN(rulesOfBucket)*min(tp.IntN(8), 1)],
			Ask:    bucket.Ask{Cost: int64(tp.IntN(7)), Count: int64(1 + tp.IntN(4)), Turn: tp.IntN(2) == 0},
		}
		if tp.IntN(20) == 0 {
			in[i].Ask = bucket.Ask{Cost: int64(tp.IntN(30)), Count: 1, Bill: uint64(1 + tp.IntN(30))}
		}
		if tp.IntN(6) == 0 {
			in[i].Ask = tp.lease()
		}
		if tp.IntN(8) == 0 {
			in[i].Ask = bucket.Ask{Cost: int64(tp.IntN(7)), Count: 1, WaitMicro: int64(1 + tp.IntN(3_000_000))}
		}
		if tp.IntN(7) == 0 {
			in[i].Ask = tp.giveUp(in[i].Bucket.Key)
		}
		if tp.IntN(60) == 0 {
			in[i].Ask = bucket.Ask{Order: &bucket.Order{Tokens: int64(tp.IntN(20) - 3), BlockMilli: max(int64(tp.IntN(1500)-1000), -1) * int64(tp.IntN(2))}}
		}
	}
	op := &operation{text: fmt.Sprintf("take %s", askText(in)), size: len(in)}
	op.run = func(t *testing.T, s port.Stores) string {
		t.Helper()
		out := make([]port.TakeReply, len(in))
		s.Buckets.Take(t.Context(), in, out)
		for i := range in {
			if in[i].Lease != nil && in[i].Count > 0 {
				op.saw = "lent"
				if out[i].Granted == 0 {
					op.saw = "not lent"
				}
			}
			switch {
			case out[i].DueMicro != 0:
				tp.places[in[i].Bucket.Key], op.saw = out[i], "waits" // of all stores, as they agree
			case in[i].Return != nil && in[i].Return.DueMicro != 0 && out[i].Granted > 0:
				op.saw = "left the queue"
			case in[i].Return != nil && out[i].Granted > 0:
				op.saw = "settled"
			}
		}
		return fmt.Sprintf("%+v", out)
	}
	return op
}

// askText shows requests, and what their leases are.
func askText(in []port.TakeRequest) string {
	var text strings.Builder
	for _, r := range in {
		fmt.Fprintf(&text, "%+v", r)
		if r.Lease != nil {
			fmt.Fprintf(&text, " with %+v", *r.Lease)
		}
		if r.Return != nil {
			fmt.Fprintf(&text, " with %+v", *r.Return)
		}
		if r.Order != nil {
			fmt.Fprintf(&text, " with %+v", *r.Order)
		}
	}
	return text.String()
}

// lease asks for tokens ahead, as one of few holders, each of which has few leases.
func (tp *tape) lease() bucket.Ask {
	seq := uint64(2 + tp.IntN(6))
	return bucket.Ask{
		Cost: int64(tp.IntN(4)), Count: int64(tp.IntN(30)), Turn: tp.IntN(2) == 0,
		Lease: &bucket.LeaseAsk{
			ID:    bucket.LeaseID{Start: uint64(1 + tp.IntN(4)), Seq: seq * min(uint64(tp.IntN(50)), 1)},
			Milli: int64(tp.IntN(bucket.MaxLeaseMilli + 100)), Spent: seq - uint64(tp.IntN(3)), Left: int64(tp.IntN(12) - 1), Sealed: tp.IntN(4) == 0,
		},
	}
}

// giveUp returns what was taken before: often the last place in a queue.
func (tp *tape) giveUp(key string) bucket.Ask {
	tp.seq += uint64(tp.IntN(3))
	r := &bucket.Return{ID: bucket.LeaseID{Start: uint64(1 + tp.IntN(4)), Seq: tp.seq}, Tokens: int64(tp.IntN(20) - 5)}
	if tp.IntN(3) > 0 {
		r.Tokens, r.DueMicro, r.StepMicro = int64(tp.IntN(8)), tp.places[key].DueMicro, tp.places[key].StepMicro
	}
	if tp.IntN(8) == 0 {
		r.DueMicro = tp.clock.micro + int64(tp.IntN(2_000_000))
	}
	return bucket.Ask{Return: r}
}

func (tp *tape) breaker() (port.ID, breaker.Rules) {
	home := tp.IntN(3)
	return port.ID{Name: fmt.Sprintf("breaker%d", home)}, tp.claims[(home+tp.IntN(2)*min(tp.IntN(20), 1))%len(tp.claims)]
}

// epochOf is what a replica knows of a breaker: mostly the truth.
func (tp *tape) epochOf(id port.ID) uint64 {
	switch known := tp.known[id]; tp.IntN(100) {
	case 0:
		return 0
	case 1:
		return known + uint64(tp.IntN(1000))
	case 2:
		return known + 200_000_000_000
	case 3, 4:
		return known - min(known, uint64(tp.IntN(5)))
	default:
		return known
	}
}

func (tp *tape) report() *operation {
	id, rules := tp.breaker()
	if tp.IntN(10) > 0 {
		tp.seq++
	}
	e := breaker.Evidence{
		Replica: fmt.Sprintf("r%d", tp.IntN(6)), Seq: tp.seq, Known: tp.epochOf(id), Calls: int64(tp.IntN(1000)), Failures: 5,
		Weight: int64(tp.IntN(1001)), Bad: tp.IntN(3) > 0, ForMicro: int64(tp.IntN(10_000_000)), Leaving: tp.IntN(30) == 0,
		Open: tp.IntN(3) == 0, Last: breaker.Trouble(tp.IntN(4)),
	}
	if tp.IntN(3) == 0 {
		e.Weight = 1000
	}
	if tp.IntN(3) == 0 {
		e.AloneMicro = int64(tp.IntN(6_000_000) - 1000)
	}
	in := []port.Report{{Breaker: id, Rules: rules, Evidence: e}}
	op := &operation{text: fmt.Sprintf("report %+v", in), size: 1, id: id}
	op.run = func(t *testing.T, s port.Stores) string {
		t.Helper()
		out := make([]port.View, 1)
		s.Breakers.Report(t.Context(), in, out)
		op.epoch, op.saw = out[0].Epoch, out[0].State.String()
		return viewText(out[0])
	}
	return op
}

func (tp *tape) probe() *operation {
	id, rules := tp.breaker()
	ask := breaker.ProbeAsk{Replica: fmt.Sprintf("r%d", tp.IntN(6)), Known: tp.epochOf(id), Token: uint64(1 + tp.IntN(1000))}
	if last := tp.tokens[id]; last != 0 && tp.IntN(3) > 0 {
		ask.Token, ask.Settle, ask.Outcome = last, tp.IntN(8) > 0, domain.Outcome(tp.IntN(4))
		if tp.IntN(2) == 0 {
			ask.Outcome = domain.Success
		}
		if tp.IntN(3) == 0 {
			ask.AloneMicro = int64(tp.IntN(6_000_000) - 1000)
		}
	}
	tp.tokens[id] = ask.Token
	in := []port.ProbeRequest{{Breaker: id, Rules: rules, ProbeAsk: ask}}
	op := &operation{text: fmt.Sprintf("probe %+v", in), size: 1, id: id}
	op.run = func(t *testing.T, s port.Stores) string {
		t.Helper()
		out := make([]port.ProbeReply, 1)
		s.Breakers.Probe(t.Context(), in, out)
		op.epoch, op.saw = out[0].View.Epoch, out[0].View.State.String()
		if out[0].Granted {
			op.saw = "granted"
		}
		return fmt.Sprintf("granted %v for %v, %s", out[0].Granted, out[0].For, viewText(out[0].View))
	}
	return op
}

// order is an operator's: mostly a new one, else one that is brought again.
func (tp *tape) order() *operation {
	id, _ := tp.breaker()
	o := breaker.Order{
		Force: domain.Force(tp.IntN(5)), Reset: tp.IntN(3) == 0, ForMicro: int64(tp.IntN(20_000_000) - 1000), By: "somebody", Reason: "why not",
	}
	if tp.IntN(2) == 0 {
		o.Serial = uint64(tp.clock.micro + int64(tp.IntN(20_000_000)) - 10_000_000)
	}
	if tp.IntN(10) == 0 {
		o.Serial = uint64(tp.clock.micro + 200_000_000_000)
	}
	in := []port.Order{{Breaker: id, Order: o}}
	op := &operation{text: fmt.Sprintf("order %+v", in), size: 1}
	op.run = func(t *testing.T, s port.Stores) string {
		t.Helper()
		out := make([]port.OrderReply, 1)
		s.Operator.Order(t.Context(), in, out)
		op.saw = "ordered"
		return fmt.Sprintf("%d, failed %v", out[0].Serial, out[0].Err != nil)
	}
	return op
}

// look is all that an operator may see of one breaker.
func (tp *tape) look() *operation {
	id, _ := tp.breaker()
	return &operation{text: "look", size: 1, run: func(t *testing.T, s port.Stores) string {
		t.Helper()
		snapshot, err := s.Operator.Explain(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		records, err := s.Operator.Records(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := s.Operator.Breakers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%+v\n%+v\n%+v", snapshot, records, ids)
	}}
}

func (tp *tape) read() *operation {
	ids := []port.ID{{Name: "breaker0"}, {Name: "breaker1"}, {Name: "breaker2"}, {Name: "nobody"}}
	return &operation{text: "read", size: 1, run: func(t *testing.T, s port.Stores) string {
		t.Helper()
		out := make([]port.View, len(ids))
		s.Views.Read(t.Context(), ids, out)
		var text strings.Builder
		for i := range out {
			text.WriteString(viewText(out[i]) + "; ")
		}
		return text.String()
	}}
}

func (tp *tape) beat() *operation {
	replica, lasting := fmt.Sprintf("r%d", tp.IntN(6)), time.Duration(tp.IntN(20))*time.Second
	return &operation{text: fmt.Sprintf("beat %s %v", replica, lasting), size: 1, run: func(t *testing.T, s port.Stores) string {
		t.Helper()
		live, err := s.Members.Beat(t.Context(), replica, lasting)
		return fmt.Sprint(live, err)
	}}
}

func (tp *tape) hold() *operation {
	in := make([]port.HoldRequest, 1+tp.IntN(3))
	for i := range in {
		tp.seq++
		want := int64(tp.IntN(9))
		in[i] = port.HoldRequest{Bulkhead: port.ID{Name: "bulkhead"}, Ask: bulkhead.Ask{
			Holder: fmt.Sprintf("r%d", tp.IntN(4)), Seq: int64(tp.seq) - int64(tp.IntN(3)), Room: int64(5 + tp.IntN(3)*tp.IntN(2)),
			Keep: int64(tp.IntN(int(want) + 1)), Want: want, Lasting: int64(tp.IntN(20_000_000)),
		}}
	}
	op := &operation{text: fmt.Sprintf("hold %+v", in), size: 1}
	op.run = func(t *testing.T, s port.Stores) string {
		t.Helper()
		out := make([]port.HoldReply, len(in))
		s.Permits.Hold(t.Context(), in, out)
		switch last := out[len(out)-1]; {
		case last.Held > last.Room:
			op.saw = "gives back"
		case last.Held > 0:
			op.saw = "holds"
		}
		return fmt.Sprintf("%+v", out)
	}
	return op
}

// viewText leaves out the texts of errors, which stores may choose.
func viewText(v port.View) string {
	failed := v.Err != nil
	v.Err = nil
	return fmt.Sprintf("%+v, failed %v", v, failed)
}

// learn remembers the epoch that the stores answered.
func (tp *tape) learn(op *operation) {
	if op.epoch != 0 {
		tp.known[op.id] = op.epoch
	}
}
