package rmi

import (
	"context"
	"errors"
	"testing"
)

// localOf returns a Local that ends with the test.
func localOf(t *testing.T, h Handler, opts LocalOptions) *Local {
	t.Helper()
	opts.Node, opts.Incarnation = "a", 1
	l := NewLocal(h, opts)
	t.Cleanup(func() { l.Shutdown(context.Background()) })
	return l
}

// What a handler has of a call is its own, for as long as it runs.
func TestLocalCopiesWhatItIsGiven(t *testing.T) {
	started, free, got := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	l := localOf(t, HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		close(started)
		<-free
		got <- string(call.Args.Data) + call.Metadata["k"]
		return Reply{}, nil
	}), LocalOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	call := &Call{Object: "x", Args: Payload{Data: []byte("args")}, Metadata: Metadata{"k": "v"}}
	go func() { <-started; cancel() }()
	if _, err := l.Handle(ctx, call); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	copy(call.Args.Data, "gone")
	call.Metadata["k"] = "w"
	close(free)
	if got := <-got; got != "argsv" {
		t.Errorf("after the caller has left the handler sees %q, want %q", got, "argsv")
	}

	kept := []byte("kept")
	l = localOf(t, HandlerFunc(func(context.Context, *Call) (Reply, error) {
		return Reply{Result: Payload{Data: kept}}, nil
	}), LocalOptions{})
	reply, err := l.Handle(t.Context(), &Call{Object: "x"})
	if err != nil {
		t.Fatal(err)
	}
	copy(reply.Result.Data, "gone")
	if string(kept) != "kept" {
		t.Errorf("what the handler keeps has become %q, want %q", kept, "kept")
	}
}

func TestLocalHasLimits(t *testing.T) {
	begun, free := make(chan struct{}), make(chan struct{})
	l := localOf(t, HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		if call.Object == "big" {
			return Reply{Result: Payload{Data: make([]byte, 11)}}, nil
		}
		begun <- struct{}{}
		<-free
		return Reply{}, nil
	}), LocalOptions{MaxInFlight: 2, MaxPayload: 10})
	for range 2 {
		if _, err := l.Handle(t.Context(), &Call{Object: "x", Way: OneWay}); err != nil {
			t.Fatal(err)
		}
		<-begun
	}
	refused := func(what string, call *Call, code Code, executed Execution) {
		t.Helper()
		_, err := l.Handle(t.Context(), call)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != code || e.Execution != executed {
			t.Errorf("%s: got %v, want %v, execution %v", what, err, code, executed)
		}
	}
	refused("one call too many", &Call{Object: "x"}, ResourceExhausted, NotExecuted)
	refused("arguments that are too large", &Call{Object: "x", Args: Payload{Data: make([]byte, 11)}}, ResourceExhausted, NotExecuted)
	refused("a chain that is too long", &Call{Object: "x", Trail: Trail{Depth: MaxChain + 1}}, FailedPrecondition, NotExecuted)
	refused("a method's name that is too long", &Call{Object: "x", Method: string(make([]byte, MaxMethodLen+1))}, InvalidArgument, NotExecuted)
	refused("a call that builds on promises", &Call{Object: "x", keep: new(started)}, FailedPrecondition, NotExecuted)
	if _, err := l.Handle(t.Context(), &Call{Object: "x", Way: OneWay, Trail: Trail{Depth: 1}}); err != nil {
		t.Errorf("a call of the chain of those that run: got %v, want nil", err)
	}
	<-begun
	close(free)
	refused("a result that is too large", &Call{Object: "big", Trail: Trail{Depth: 1}}, ResourceExhausted, Executed)
}

// When its time is up, Shutdown leaves nobody waiting.
func TestLocalShutdownCutsOffWhatIsLeft(t *testing.T) {
	started, free, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	l := NewLocal(HandlerFunc(func(ctx context.Context, _ *Call) (Reply, error) {
		close(started)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		<-free
		return Reply{}, nil
	}), LocalOptions{Node: "a", Incarnation: 1})
	answered := make(chan error, 1)
	go func() {
		_, err := l.Handle(t.Context(), &Call{Object: "x"})
		answered <- err
	}()
	<-started
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Shutdown(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: got %v, want %v", err, context.Canceled)
	}
	if e, ok := errors.AsType[*Error](<-answered); !ok || e.Code != Unavailable || e.Execution != Executed {
		t.Errorf("the caller gets %v, want UNAVAILABLE, possibly executed", e)
	}
	if err := <-ended; !errors.Is(err, errLeaving) {
		t.Errorf("the handler's context ended because of %v, want %v", err, errLeaving)
	}
	_, err := l.Handle(t.Context(), &Call{Object: "x"})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Unavailable || e.Execution != NotExecuted {
		t.Errorf("a later call: got %v, want UNAVAILABLE, not executed", err)
	}
	close(free)
	if err := l.Shutdown(t.Context()); err != nil {
		t.Errorf("a second Shutdown, when all has ended: got %v, want nil", err)
	}
}
