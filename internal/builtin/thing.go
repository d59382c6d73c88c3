package builtin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// Thing is an object or a function that is ready to be registered.
type Thing struct {
	// Kind says which of the two it is.
	Kind naming.Kind
	// Value is the object, or the func. It is safe for concurrent use.
	Value any
	// Docs describe it for people.
	Docs rmi.Docs
	// Properties are those of an object; may be nil.
	Properties []rmi.Property
}

// Default returns what a daemon hosts when nothing is said: the object
// greeting and the functions add and echo, by the name to register them under.
func Default() map[naming.Name]Thing {
	return map[naming.Name]Thing{
		"greeting": greetingThing(defaultWord),
		"add":      addThing(),
		"echo":     echoFunctionThing(),
	}
}

// Options configure an object; which keys there are depends on its type.
type Options map[string]any

// Object makes a new object of a type. Its error says what is wrong with the
// type or the options, and what there is.
func Object(typ string, options Options) (Thing, error) {
	build, ok := objectTypes()[typ]
	if !ok {
		return Thing{}, fmt.Errorf("there is no object type %q; there are %s", typ, strings.Join(ObjectTypes(), ", "))
	}
	return build(options)
}

// ObjectTypes returns the types that Object takes, sorted.
func ObjectTypes() []string { return slices.Sorted(maps.Keys(objectTypes())) }

// Function returns the function called word. Its error says what there is.
func Function(word string) (Thing, error) {
	build, ok := functions()[word]
	if !ok {
		return Thing{}, fmt.Errorf("there is no function %q; there are %s", word, strings.Join(Functions(), ", "))
	}
	return build(), nil
}

// Functions returns the words that Function takes, sorted.
func Functions() []string { return slices.Sorted(maps.Keys(functions())) }

// objectTypes lists the object types with their constructors.
func objectTypes() map[string]func(Options) (Thing, error) {
	return map[string]func(Options) (Thing, error){
		"greeting": func(o Options) (Thing, error) {
			word, err := text(o, "greeting", defaultWord)
			if err != nil {
				return Thing{}, err
			}
			return greetingThing(word), only(o, "greeting")
		},
		"echo":    func(o Options) (Thing, error) { return echoThing(), only(o) },
		"counter": func(o Options) (Thing, error) { return counterThing(), only(o) },
	}
}

// functions lists the functions with their constructors.
func functions() map[string]func() Thing {
	return map[string]func() Thing{"add": addThing, "echo": echoFunctionThing}
}

// text returns the option called key, or def.
func text(o Options, key, def string) (string, error) {
	v, ok := o[key]
	if !ok {
		return def, nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("option %q wants text, not %v", key, v)
	}
	return s, nil
}

// only returns an error when o has keys other than known.
func only(o Options, known ...string) error {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if slices.Contains(known, key) {
			continue
		}
		if len(known) == 0 {
			return fmt.Errorf("there is no option %q; this type has none", key)
		}
		return fmt.Errorf("there is no option %q; there is %s", key, strings.Join(known, ", "))
	}
	return nil
}
