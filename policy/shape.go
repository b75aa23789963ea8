package policy

// A shape is what a form looks like in a file, where all fields have names.
type shape struct {
	bare   string // the name of what stands without one in a text; "" when nothing does
	fields map[string]slot
}

// A slot says what may stand in the place of a value.
type slot struct {
	word   bool   // a string only, since a number is no name
	object string // the kind of the call that an object means; "" when none may stand there
	kinds  bool   // or of that which its field "kind" names
}

func (f form[T]) shape() shape {
	fields := make(map[string]slot, len(f.fields))
	for _, known := range f.fields {
		fields[known.name] = slot{known.word, known.object, known.kinds}
	}
	return shape{f.bareName, fields}
}
