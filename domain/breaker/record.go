package breaker

import "github.com/holdfast-go/holdfast/domain"

// RecordsKept is how many records of one breaker are kept.
const RecordsKept = 256

// A RecordKind says what a Record is about.
type RecordKind uint8

// The kinds of record. The numbers are part of the protocol.
const (
	RecordTurn  RecordKind = iota + 1 // the fleet's layer went to State
	RecordVote                        // a replica changed its opinion to Bad
	RecordOrder                       // an operator gave Order
)

// String returns "transition", "vote" or "order".
func (k RecordKind) String() string {
	switch k {
	case RecordTurn:
		return "transition"
	case RecordVote:
		return "vote"
	case RecordOrder:
		return "order"
	default:
		return "unknown"
	}
}

// A Record is one thing that happened to a breaker. Fields that do not belong to
// its Kind are zero.
type Record struct {
	AtMicro int64 // by the store's clock, Unix µs
	Kind    RecordKind
	Epoch   uint64
	State   domain.State // afterwards
	Lost    bool         // of a transition: the state before it was lost
	Replica string       // whose word it was
	Bad     bool         // of a vote
	Weight  int64        // of a vote, in thousandths
	Order   Order        // of an order
}

// log keeps a record, and forgets the oldest.
func (f *Fleet) log(r Record) {
	if len(f.records) >= RecordsKept {
		f.records = append(f.records[:0], f.records[1:]...)
	}
	f.records = append(f.records, r)
}

// Records are what happened, the newest first, as far as it is kept.
func (f *Fleet) Records() []Record {
	all := make([]Record, len(f.records))
	for i, r := range f.records {
		all[len(all)-1-i] = r
	}
	return all
}
