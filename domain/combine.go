package domain

// combined is one policy around another. Nested pairs, and not a slice, keep
// policies comparable: a policy that holds a slice would panic as a map key.
type combined struct{ outer, inner Policy }

// Combine nests policies, outermost first: the order written is the order run.
// Nothing is dropped, merged or reordered, the same kind may stand several
// times, and a Combine may stand inside another, which is the same as its layers. A nil policy anywhere makes
// the whole invalid.
//
//	Combine(Timeout{…}, Retry{…}) // one deadline for the whole series
//	Combine(Retry{…}, Timeout{…}) // a deadline for each attempt
func Combine(outermost Policy, inner ...Policy) Policy {
	layers := Layers(outermost)
	for _, p := range inner {
		layers = append(layers, Layers(p)...)
	}
	return nest(layers)
}

// nest makes pairs of layers, the outermost one outside. There is one way to nest given
// layers, so that policies that run alike are equal.
func nest(layers []Policy) Policy {
	if len(layers) == 1 {
		return layers[0]
	}
	return combined{outer: layers[0], inner: nest(layers[1:])}
}

// Layers returns the policies of p that Combine does not make, outermost first;
// p itself where it is not combined. A nil policy stays in its place as nil.
func Layers(p Policy) []Policy {
	c, ok := p.(combined)
	if !ok {
		return []Policy{p}
	}
	return append(Layers(c.outer), Layers(c.inner)...)
}

// WithVersion returns p with that Version in each of its breakers and limits, so that its
// numbers decide in the whole fleet over those of a lower one.
func WithVersion(p Policy, version int64) Policy {
	layers := Layers(p)
	for i, layer := range layers {
		switch l := layer.(type) {
		case CircuitBreaker:
			l.Version = version
			layers[i] = l
		case RateLimit:
			l.Version = version
			layers[i] = l
		}
	}
	return nest(layers)
}

// Validate reports the first invalid layer, outermost first.
func (c combined) Validate() error {
	for _, layer := range Layers(c) {
		if layer == nil {
			return invalid("combine", "policy", "is nil; say None for no protection")
		}
		if !plain(layer) {
			return invalid("combine", "policy", "is not one of this package's values, or a pointer to one")
		}
		if err := layer.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// plain reports whether p is a policy value itself: pointers to policies, and
// structs that embed one, satisfy the interface too.
func plain(p Policy) bool {
	switch p.(type) {
	case None, Retry, CircuitBreaker, RateLimit, Timeout, Bulkhead, Hedge, Exclusive:
		return true
	default:
		return false
	}
}

// String joins the layers with " > ", outermost first.
func (c combined) String() string {
	return text(c.outer) + " > " + text(c.inner)
}

func text(p Policy) string {
	if p == nil {
		return "<nil>"
	}
	return p.String()
}

func (combined) policy() {}
