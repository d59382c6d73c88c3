package rmi

import (
	"context"
	"testing"
)

// benchGreeting has the method that the tutorial calls, in the forms that are
// called without and with reflection.
type benchGreeting struct{}

func (*benchGreeting) GetFortune(name string) string { return "Hello, " + name + ". \n" }

func (*benchGreeting) WithContext(_ context.Context, name string) (string, error) {
	return "Hello, " + name + ". \n", nil
}

func (*benchGreeting) Reflected(name string, n int) (string, error) { return name, nil }

func BenchmarkDispatch(b *testing.B) {
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("greeting", &benchGreeting{}, ExportOptions{}); err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		method string
		args   []any
	}{{"get_fortune", []any{"letian"}}, {"with_context", []any{"letian"}}, {"reflected", []any{"letian", 42}}} {
		b.Run(bb.method, func(b *testing.B) {
			args, err := EncodeArgs(bb.args...)
			if err != nil {
				b.Fatal(err)
			}
			call := &Call{Object: "greeting", Method: bb.method, Args: args}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := o.Handle(b.Context(), call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
