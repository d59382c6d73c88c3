package rmi

import (
	"fmt"
	"slices"
	"strings"
)

// fit compares two descriptions of types: may what the one describes be sent to
// where the other is wanted? Each side of a struct inside itself is found among
// those that it is in.
type fit struct {
	from, to []TypeInfo
}

// misfitOf says why a value of type from may not be one of type to; it is empty
// when every value fits.
func misfitOf(from, to TypeInfo) string {
	if from.Nullable && !to.Nullable && from.Kind != KindAny && to.Kind != KindAny {
		// Inside of lists, maps and structs null becomes the zero value.
		return fmt.Sprintf("null may be sent, and %v is wanted", to)
	}
	var f fit
	return f.misfit(from, to)
}

// misfit is misfitOf for a part.
func (f *fit) misfit(from, to TypeInfo) string {
	if from.Recursive && to.Recursive {
		return "" // compared where they began
	}
	from, to = paired(enclosing(from, f.from)), paired(enclosing(to, f.to))
	if len(f.from) > 2*MaxDepth {
		return ""
	}
	f.from, f.to = append(f.from, from), append(f.to, to)
	defer func() { f.from, f.to = f.from[:len(f.from)-1], f.to[:len(f.to)-1] }()

	no := fmt.Sprintf("%s is sent, and %s is wanted", exactly(from), exactly(to))
	switch {
	case from.Kind == KindAny || to.Kind == KindAny:
		return ""
	case wholeNumber(from) && wholeNumber(to):
		if !rangeFits(from, to) {
			return no
		}
		return ""
	case from.Kind == KindInt && to.Kind == KindFloat:
		if from.Bits == 0 || from.Bits > 32 || to.Bits == 32 && from.Bits > 16 {
			return no
		}
		return ""
	case from.Kind == KindList && to.Kind == KindStream && from.Elem != nil && to.Elem != nil:
		return f.misfit(*from.Elem, *to.Elem)
	case from.Kind == KindStruct && to.Kind == KindMap && !from.Positional:
		return f.structToMap(from, to)
	case from.Kind != to.Kind || from.Positional != to.Positional || to.Length != 0 && from.Length != to.Length:
		return no
	case from.Kind == KindFloat && from.Bits > to.Bits:
		return no
	case from.Kind == KindStruct:
		return f.fields(from, to)
	}
	for _, part := range []struct{ from, to *TypeInfo }{{from.Key, to.Key}, {from.Elem, to.Elem}} {
		if part.from == nil || part.to == nil {
			if part.from != part.to {
				return no
			}
			continue
		}
		if why := f.misfit(*part.from, *part.to); why != "" {
			return fmt.Sprintf("in a %s, %s", from.Kind, why)
		}
	}
	return ""
}

// fields compares two structs. One of them may have fields that the other
// lacks: they are dropped, or are zero. Both may not, since that is what a field
// with a new name looks like.
func (f *fit) fields(from, to TypeInfo) string {
	if from.Positional {
		if len(from.Fields) != len(to.Fields) {
			return fmt.Sprintf("a list of %s is sent, and one of %d is wanted", plural(len(from.Fields), "field"), len(to.Fields))
		}
		for i := range from.Fields {
			if why := f.misfit(from.Fields[i].Type, to.Fields[i].Type); why != "" {
				return fmt.Sprintf("field %s: %s", to.Fields[i].Name, why)
			}
		}
		return ""
	}
	extra := lacking(from.Fields, to.Fields)
	missing := lacking(to.Fields, from.Fields)
	if len(extra) > 0 && len(missing) > 0 {
		return fmt.Sprintf("a struct with %s is sent, and one with %s is wanted", listed(extra), listed(missing))
	}
	for _, ff := range from.Fields {
		at := slices.IndexFunc(to.Fields, func(tf FieldInfo) bool { return tf.Name == ff.Name })
		if at < 0 {
			continue
		}
		if why := f.misfit(ff.Type, to.Fields[at].Type); why != "" {
			return fmt.Sprintf("field %s: %s", ff.Name, why)
		}
	}
	return ""
}

// structToMap compares a struct with a map that is to hold its fields.
func (f *fit) structToMap(from, to TypeInfo) string {
	if to.Key == nil || to.Elem == nil || to.Key.Kind != KindString && to.Key.Kind != KindAny {
		return fmt.Sprintf("%s is sent, and %s is wanted", exactly(from), exactly(to))
	}
	for _, ff := range from.Fields {
		if why := f.misfit(ff.Type, *to.Elem); why != "" {
			return fmt.Sprintf("field %s: %s", ff.Name, why)
		}
	}
	return ""
}

// lacking returns the names of those of fields that others lacks.
func lacking(fields, others []FieldInfo) []string {
	var names []string
	for _, f := range fields {
		if !slices.ContainsFunc(others, func(o FieldInfo) bool { return o.Name == f.Name }) {
			names = append(names, f.Name)
		}
	}
	return names
}

// enclosing returns t or, where t is a type inside itself, the one of open that
// it is.
func enclosing(t TypeInfo, open []TypeInfo) TypeInfo {
	if !t.Recursive {
		return t
	}
	for _, o := range slices.Backward(open) {
		if strings.TrimLeft(o.Go, "*") == strings.TrimLeft(t.Go, "*") && o.Kind == t.Kind {
			return o
		}
	}
	return t
}

// paired returns t or, where t is a stream of pairs, a stream of a struct: who
// reads one may have it either way.
func paired(t TypeInfo) TypeInfo {
	if t.Kind != KindStream || t.Key == nil || t.Elem == nil {
		return t
	}
	pair := TypeInfo{Kind: KindStruct, Positional: true, Fields: []FieldInfo{{Name: "Key", Type: *t.Key}, {Name: "Value", Type: *t.Elem}}}
	t.Key, t.Elem = nil, &pair
	return t
}

// wholeNumber reports whether t travels as an integer.
func wholeNumber(t TypeInfo) bool { return t.Kind == KindInt || t.Kind == KindDuration }

// rangeFits reports whether to holds every integer of from.
func rangeFits(from, to TypeInfo) bool {
	fromBits, toBits := from.Bits, to.Bits
	switch {
	case toBits == 0:
		return true
	case fromBits == 0:
		return false
	case from.Unsigned == to.Unsigned:
		return fromBits <= toBits
	}
	return from.Unsigned && fromBits < toBits
}

// exactly writes t with the width of a number.
func exactly(t TypeInfo) string {
	switch {
	case t.Kind == KindInt && t.Bits > 0 && t.Unsigned:
		return fmt.Sprintf("uint%d", t.Bits)
	case (t.Kind == KindInt || t.Kind == KindFloat) && t.Bits > 0:
		return fmt.Sprintf("%s%d", t.Kind, t.Bits)
	case t.Length > 0:
		return fmt.Sprintf("%s of length %d", clip(t.String(), 120), t.Length)
	}
	return clip(t.String(), 120)
}
