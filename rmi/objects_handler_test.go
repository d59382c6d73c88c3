package rmi

import (
	"context"
	"errors"
	"strings"
	"testing"

	"farcall.dev/naming"
)

// relayed is an interface that a handler serves.
func relayed(name naming.Name, methods ...string) InterfaceInfo {
	info := InterfaceInfo{Name: name, Kind: naming.KindObject, Doc: "Elsewhere."}
	for _, m := range methods {
		info.Methods = append(info.Methods, MethodInfo{Name: m})
	}
	return info
}

func TestAHandlerServesWhatItsInterfaceLists(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	h := HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		switch call.Method {
		case "fail":
			return Reply{}, Errorf(NotFound, "no such user")
		case "panic":
			panic("secret")
		}
		return Reply{Result: call.Args}, nil
	})
	if err := o.ExportHandler(relayed("old", "sample.add", "fail", "panic"), h); err != nil {
		t.Fatal(err)
	}
	args := Payload{Type: ContentXMLRPC, Data: []byte("as it came")}
	reply, err := o.Handle(t.Context(), &Call{Object: "old", Method: "sample.add", Args: args})
	if err != nil || string(reply.Result.Data) != "as it came" || reply.Result.Type != ContentXMLRPC {
		t.Errorf("got %v, %v; want what was sent", reply, err)
	}
	for _, tt := range []struct {
		method string
		code   Code
		text   string
	}{
		{"fail", NotFound, "no such user"}, {"panic", Internal, "panicked"},
		{"other", Unimplemented, "old has no method other"}, {"", Unimplemented, "say which method"},
	} {
		_, err := o.Handle(t.Context(), &Call{Object: "old", Method: tt.method, Args: args})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != tt.code || !strings.Contains(e.Message, tt.text) || strings.Contains(e.Message, "secret") {
			t.Errorf("%q: got %v, want %v with %q", tt.method, err, tt.code, tt.text)
		}
	}
	info, ok := o.Interface("old")
	if !ok || info.Digest == "" || len(info.Methods) != 3 || info.Doc != "Elsewhere." {
		t.Errorf("described as %+v", info)
	}
	want := map[string][2]uint64{"sample.add": {1, 0}, "fail": {1, 1}, "panic": {1, 1}}
	for _, c := range o.Counters() {
		if got := [2]uint64{c.Calls, c.Errors}; got != want[c.Method] || c.InFlight != 0 {
			t.Errorf("%s: counted %v, %d in flight; want %v", c.Method, got, c.InFlight, want[c.Method])
		}
	}
	if _, method, ok := o.Known("old", "sample.add"); !ok || method != "sample.add" {
		t.Errorf("known as %q, %t", method, ok)
	}
}

func TestAHandlersInterfaceMustMakeSense(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	h := HandlerFunc(func(context.Context, *Call) (Reply, error) { return Reply{}, nil })
	function := InterfaceInfo{Name: "f", Kind: naming.KindFunction}
	for _, tt := range []struct {
		name string
		info InterfaceInfo
		h    Handler
		want string
	}{
		{"no name", relayed("", "a"), h, "it is empty"},
		{"no handler", relayed("x", "a"), nil, "the handler is nil"},
		{"a method without a name", relayed("x", ""), h, "a method has no name"},
		{"a method twice", relayed("x", "a", "a"), h, "is there twice"},
		{"a long method", relayed("x", strings.Repeat("a", MaxMethodLen+1)), h, "longer than 255"},
		{"a function without a method", function, h, "a function has one method"},
	} {
		err := o.ExportHandler(tt.info, tt.h)
		if e, ok := errors.AsType[*ExportError](err); !ok || !strings.Contains(e.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
