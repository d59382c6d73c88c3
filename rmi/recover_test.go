package rmi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestPanicCostsItsCallerOneError(t *testing.T) {
	for _, operator := range []bool{false, true} {
		var log bytes.Buffer
		opts := RecoverOptions{
			Logger:   slog.New(slog.NewJSONHandler(&log, nil)),
			Operator: func(p Peer) bool { return p.Node == "op" && operator },
		}
		objects := exported(t, ObjectsOptions{Logger: opts.Logger, Operator: opts.Operator})
		bare := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) { return Reply{}, (&shopCaller{}).call(call) })
		for name, h := range map[string]Handler{"objects": objects, "middleware": Recover(opts)(bare)} {
			log.Reset()
			call, err := NewCall(t.Context(), "shop", "panic", "word")
			if err != nil {
				t.Fatal(err)
			}
			call.Peer = Peer{Node: "op"}
			reply, err := h.Handle(t.Context(), call)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != Internal || e.Message != "shop.panic: method panicked; the log of its node tells more" || e.Execution != Executed || reply.Result.Data != nil {
				t.Fatalf("%s: got %v, %+v", name, reply, err)
			}
			if got := strings.Contains(e.Trace, "panic: secret word") && strings.Contains(e.Trace, "recover_test.go"); got != operator && name == "middleware" {
				t.Errorf("%s: operator %t, got the trace %q", name, operator, e.Trace)
			}
			if !operator && e.Trace != "" {
				t.Errorf("%s: a stranger got the trace %q", name, e.Trace)
			}
			var line map[string]any
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("%s: log %q: %v", name, log.Bytes(), err)
			}
			if line["level"] != "ERROR" || line["object"] != "shop" || line["method"] != "panic" || line["peer"] != "op" || line["panic"] != "secret word" || !strings.Contains(line["stack"].(string), "goroutine") {
				t.Errorf("%s: got the log %v", name, line)
			}
		}
		if got, err := InvokeAs[string](t.Context(), objects, "shop", "get_fortune", "x"); err != nil || got != "Hello, x. \n" {
			t.Errorf("the next call: got %q, %v", got, err)
		}
	}
}

// shopCaller panics as shop does, but not in a method of Objects.
type shopCaller struct{}

func (*shopCaller) call(*Call) error { panic("secret word") }

func TestTracesGoToOperatorsOnly(t *testing.T) {
	failing := HandlerFunc(func(context.Context, *Call) (Reply, error) {
		return Reply{}, &Error{Code: Internal, Message: "x", Trace: "far away"}
	})
	h := Recover(RecoverOptions{Operator: func(p Peer) bool { return p.Node == "op" }})(failing)
	for node, want := range map[Peer]string{{Node: "op"}: "far away", {Node: "other"}: "", {}: ""} {
		_, err := h.Handle(t.Context(), &Call{Peer: node})
		if e, ok := errors.AsType[*Error](err); !ok || e.Trace != want {
			t.Errorf("%v: got %+v, want the trace %q", node, err, want)
		}
	}
}
