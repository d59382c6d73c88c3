package rmi

import (
	"fmt"
	"slices"
	"strings"

	"farcall.dev/naming"
)

// InterfaceError says that an object is not what its client was compiled
// against, and which of the methods differ.
type InterfaceError struct {
	// Name is the object's name; empty when it was not told.
	Name naming.Name
	// Nodes are those on which the object is like this; empty when unknown.
	Nodes []naming.NodeID
	// Methods are those that cannot be called as the client calls them, sorted
	// by name.
	Methods []MethodMismatch
}

// MethodMismatch is why one method cannot be called as its client does.
type MethodMismatch struct {
	// Method is the name on the wire; empty for a function.
	Method string
	// Want is the method's signature as the client was compiled against it, Have
	// that of the object; empty when it has no such method.
	Want, Have string
	// Reason says what differs, for people.
	Reason string
}

// Error lists every method that differs.
func (e *InterfaceError) Error() string {
	var b strings.Builder
	if e.Name != "" {
		b.WriteString(string(e.Name))
	} else {
		b.WriteString("the object")
	}
	for i, n := range e.Nodes {
		b.WriteString([]string{" on node ", ", "}[min(i, 1)] + string(n))
	}
	b.WriteString(" has another interface than its client was compiled against")
	sep := ": "
	if len(e.Methods) > 1 {
		sep = "\n\t"
	}
	for _, m := range e.Methods {
		fmt.Fprintf(&b, "%s%s: %s", sep, m.called(), m.Reason)
		if m.Have != "" {
			fmt.Fprintf(&b, "; the client wants %s, and it has %s", m.Want, m.Have)
		}
	}
	return b.String()
}

// called names the method in messages.
func (m MethodMismatch) called() string {
	if m.Method == "" {
		return "the function"
	}
	return m.Method
}

// of returns the mismatch of a method.
func (e *InterfaceError) of(method string) (MethodMismatch, bool) {
	if e == nil {
		return MethodMismatch{}, false
	}
	at := slices.IndexFunc(e.Methods, func(m MethodMismatch) bool { return m.Method == method })
	if at < 0 {
		return MethodMismatch{}, false
	}
	return e.Methods[at], true
}

// CheckInterface says whether a client that was compiled against want can call
// an object that is described by have: nil when it can, else an
// [*InterfaceError] with every method of want that differs. Equal digests settle
// it. Otherwise each method of want
//
//   - must be there. That the object has more methods does no harm.
//   - must take what the client sends: as many arguments, and every value of the
//     client's types. A parameter that became variadic takes what it took; one
//     that no longer is does not.
//   - must return what the client reads: as many results, every value of which
//     the client's types hold. A client that wants no result takes any.
//
// An integer fits a wider one, null only what is nullable, and anything fits any
// and the other way round. A struct may have got fields, or have lost some: what
// nobody reads is dropped, what nobody sends is zero. It does not fit when each
// side has fields that the other lacks, since then one was probably renamed.
// Names of parameters and types, docs, and whether a method is idempotent or can
// fail do not matter.
func CheckInterface(want, have InterfaceInfo) error {
	if e := checkInterface(want, have); e != nil {
		return e
	}
	return nil
}

// checkInterface is CheckInterface with an error of its type.
func checkInterface(want, have InterfaceInfo) *InterfaceError {
	if want.Digest != "" && want.Digest == have.Digest {
		return nil
	}
	e := &InterfaceError{Name: have.Name}
	for _, w := range want.Methods {
		h, ok := have.Method(w.Name)
		if !ok {
			e.Methods = append(e.Methods, MethodMismatch{Method: w.Name, Want: w.Signature(),
				Reason: "it is missing" + missingHint(w.Name, have)})
			continue
		}
		if why := methodMisfit(w, h); why != "" {
			e.Methods = append(e.Methods, MethodMismatch{Method: w.Name, Want: w.Signature(), Have: h.Signature(), Reason: why})
		}
	}
	if len(e.Methods) == 0 {
		return nil
	}
	slices.SortFunc(e.Methods, func(a, b MethodMismatch) int { return strings.Compare(a.Method, b.Method) })
	return e
}

// missingHint says which methods there are instead.
func missingHint(name string, have InterfaceInfo) string {
	var names []string
	for _, m := range have.Methods {
		if m.Name != "" {
			names = append(names, m.Name)
		}
	}
	if hint := didYouMean(name, names); hint != "" {
		return hint
	}
	if len(names) == 0 {
		return ""
	}
	return "; it has " + listed(names)
}

// methodMisfit says why a caller that was compiled against want cannot call
// have.
func methodMisfit(want, have MethodInfo) string {
	least, given := len(have.Params), len(want.Params)
	if have.Variadic {
		least--
	}
	if want.Variadic {
		given--
	}
	switch {
	case want.Variadic && !have.Variadic:
		return "it is no longer variadic"
	case given < least:
		return fmt.Sprintf("%s sent, and it takes %s", isSent(given), plural(least, "argument"))
	case given > least && !have.Variadic:
		return fmt.Sprintf("%s sent, and it takes %s", isSent(given), plural(least, "argument"))
	}
	for i, p := range want.Params {
		to := have.Params[min(i, len(have.Params)-1)]
		if why := misfitOf(p.Type, to.Type); why != "" {
			return fmt.Sprintf("parameter %s: %s", paramName(i, p, to), why)
		}
	}
	if len(want.Results) == 0 {
		return ""
	}
	if len(want.Results) != len(have.Results) {
		return fmt.Sprintf("%s wanted, and it returns %s", plural(len(want.Results), "result"), plural(len(have.Results), "value"))
	}
	for i, w := range want.Results {
		if why := misfitOf(have.Results[i], w); why != "" {
			if len(want.Results) == 1 {
				return "result: " + why
			}
			return fmt.Sprintf("result %d: %s", i+1, why)
		}
	}
	return ""
}

func isSent(n int) string {
	if n == 1 {
		return "1 argument is"
	}
	return fmt.Sprintf("%d arguments are", n)
}

// paramName calls the parameter with index i as either side calls it.
func paramName(i int, params ...ParamInfo) string {
	for _, p := range params {
		if p.Name != "" {
			return fmt.Sprintf("%d (%s)", i+1, p.Name)
		}
	}
	return fmt.Sprint(i + 1)
}
