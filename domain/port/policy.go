package port

import "context"

// A PolicyStore keeps the policies that operators publish to a fleet: one document is in
// force, and some before it are remembered.
type PolicyStore interface {
	// Publish puts p in force in place of the document of version after, 0 being none,
	// and returns p's version: the store's time in µs, and above any before. When another
	// one is in force it does nothing, and returns false with the version of that.
	//
	// A p with a Version is brought back by who saw it in force: it is, if the store has
	// none at all, and after says nothing. One too far ahead of the store's clock is
	// [ErrAhead].
	Publish(ctx context.Context, p Publication, after uint64) (version uint64, ok bool, err error)
	// Published reads the document in force. It writes nothing. Where that has version
	// known, the answer has no Document; a zero answer is that there is none.
	Published(ctx context.Context, known uint64) (Publication, error)
	// Publications reads the documents that are remembered, the newest first: at most
	// [PublicationsKept]. It writes nothing.
	Publications(ctx context.Context) ([]Publication, error)
}

// A Publication is a document that was published. What it says is not the store's matter.
type Publication struct {
	Version  uint64
	Document string // at most MaxDocument bytes
	Shadow   bool   // to be checked by every replica, and applied by none
	By       string // who published it
	Reason   string
}

// MaxDocument is how long a document may be, and PublicationsKept how many are remembered.
const (
	MaxDocument      = 256 << 10
	PublicationsKept = 16
)
