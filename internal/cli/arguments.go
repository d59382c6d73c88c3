package cli

import (
	"context"
	"fmt"
	"strings"

	"farcall.dev"
	"farcall.dev/rmi"
)

// arguments turns words into the values that t's parameters want. What they
// want is asked of an instance, unless there is nothing to turn. Standard input
// is read for as long as whole lasts, and as a stream goes by feed.
func (a *app) arguments(ctx, whole context.Context, m *farcall.Mesh, t target, words []word, feed *feed) ([]any, error) {
	if len(words) == 0 {
		return nil, nil
	}
	info, err := a.interfaceOf(ctx, m, t.name)
	if err != nil {
		return nil, err
	}
	method, ok := info.Method(t.method)
	if !ok {
		// The instance that is called may know better, or knows what to say.
		if err := a.readLive(whole, words); err != nil {
			return nil, err
		}
		return guess(words), nil
	}
	if err := checkCount(t, method, words); err != nil {
		return nil, err
	}
	for i := range words {
		p := method.Params[min(i, len(method.Params)-1)]
		if p.Type.Kind == rmi.KindStream && words[i].live {
			continue
		}
		if err := a.readLive(whole, words[i:i+1]); err != nil {
			return nil, err
		}
	}
	args := make([]any, len(words))
	for i, w := range words {
		p := method.Params[min(i, len(method.Params)-1)]
		if w.live {
			args[i] = feed.lines(a.opts.Stdin, p.Type.Item())
			continue
		}
		if args[i], err = w.value(p.Type); err != nil {
			return nil, misfit(t, method, i, words, err)
		}
	}
	return args, nil
}

// checkCount checks that method takes as many arguments as there are words.
func checkCount(t target, method rmi.MethodInfo, words []word) error {
	least, most := len(method.Params), len(method.Params)
	takes := count(most, "argument")
	if method.Variadic {
		least, most = least-1, -1
		takes = "at least " + count(least, "argument")
	}
	if len(words) >= least && (most < 0 || len(words) <= most) {
		return nil
	}
	return usagef(argumentHint(t, method, words), "%s takes %s, not %d", t, takes, len(words))
}

// argumentHint says how method is called, or that one of words was probably
// meant as a flag.
func argumentHint(t target, method rmi.MethodInfo, words []word) string {
	if flag, ok := looksLikeFlag(words); ok {
		return fmt.Sprintf("%s here is an argument: flags go before the name, as in client %s %s ...", flag, verb(t), flag)
	}
	return signature(string(t.name), method)
}

// verb is the command that calls t.
func verb(t target) string {
	if t.method == "" {
		return "call"
	}
	return "invoke"
}

// misfit is the failure of an argument that is not what its parameter wants.
func misfit(t target, method rmi.MethodInfo, i int, words []word, err error) error {
	p := method.Params[min(i, len(method.Params)-1)]
	which := fmt.Sprintf("argument %d", i+1)
	if p.Name != "" {
		which += " (" + p.Name + ")"
	}
	which += " of " + t.String()
	if from := words[i].from; from != "" {
		which += ", from " + from
	}
	return usagef(argumentHint(t, method, words), "%s: %w", which, err)
}

// value returns w as a value of type t.
func (w word) value(t rmi.TypeInfo) (any, error) {
	text := w.text
	switch {
	case w.json:
		return rmi.ParseJSON([]byte(text), t)
	case w.from != "" && t.Kind == rmi.KindStream:
		return listOfLines(strings.NewReader(text), t.Item())
	case w.from != "" && t.Kind == rmi.KindBytes:
		return []byte(text), nil
	case w.from != "" && t.Kind == rmi.KindString:
		text = chomp(text)
	case w.from != "":
		text = strings.TrimSpace(text)
	}
	return rmi.ParseText(text, t)
}

// chomp removes one line end from the end of s.
func chomp(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") }

// guess turns words into values when nobody says what is wanted: JSON where it
// is JSON, else text.
func guess(words []word) []any {
	out := make([]any, len(words))
	for i, w := range words {
		v, err := w.value(rmi.TypeInfo{Kind: rmi.KindAny})
		if err != nil {
			v = w.text
		}
		out[i] = v
	}
	return out
}
