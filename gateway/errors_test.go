package gateway

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// codes are all codes but OK.
func codes() []rmi.Code {
	return []rmi.Code{
		rmi.Canceled, rmi.Unknown, rmi.InvalidArgument, rmi.DeadlineExceeded, rmi.NotFound, rmi.AlreadyExists, rmi.PermissionDenied,
		rmi.ResourceExhausted, rmi.FailedPrecondition, rmi.Aborted, rmi.Unimplemented, rmi.Internal, rmi.Unavailable, rmi.Unauthenticated,
	}
}

func TestEachCodeHasAFaultOfItsOwn(t *testing.T) {
	if got, want := len(boundaries()), len(codes()); got != want {
		t.Errorf("the table has %d rows, want %d", got, want)
	}
	seen := map[int]rmi.Code{}
	for _, code := range codes() {
		fault := FaultCode(code)
		if other, taken := seen[fault]; taken {
			t.Errorf("%v and %v share the fault code %d", code, other, fault)
		}
		seen[fault] = code
		if got := CodeOfFault(fault); got != code {
			t.Errorf("fault %d, of %v, reads back as %v", fault, code, got)
		}
		reserved := fault >= -32768 && fault <= -32000
		if !reserved {
			t.Errorf("%v has the fault code %d, which applications use", code, fault)
		}
	}
	for fault, want := range map[int]rmi.Code{
		xmlrpc.CodeNotWellFormed: rmi.InvalidArgument, xmlrpc.CodeUnsupportedEncoding: rmi.InvalidArgument,
		xmlrpc.CodeInvalidCharacter: rmi.InvalidArgument, xmlrpc.CodeInvalidRequest: rmi.InvalidArgument,
		xmlrpc.CodeSystem: rmi.Internal, -506: rmi.Unimplemented, 42: rmi.Unknown, 0: rmi.Unknown, -1: rmi.Unknown,
	} {
		if got := CodeOfFault(fault); got != want {
			t.Errorf("fault %d: got %v, want %v", fault, got, want)
		}
	}
	if got := FaultCode(rmi.Code(99)); got != xmlrpc.CodeApplication {
		t.Errorf("a code of the future: got fault %d, want %d", got, xmlrpc.CodeApplication)
	}
}

func TestEachCodeHasAStatus(t *testing.T) {
	shared := map[rmi.Code]rmi.Code{rmi.Internal: rmi.Unknown, rmi.Aborted: rmi.AlreadyExists}
	for _, code := range codes() {
		want := code
		if first, ok := shared[code]; ok {
			want = first
		}
		status := HTTPStatus(code)
		if status < 400 || status > 599 {
			t.Errorf("%v has the status %d", code, status)
		}
		if got := CodeOfStatus(status); got != want {
			t.Errorf("status %d, of %v, reads back as %v, want %v", status, code, got, want)
		}
	}
	for status, want := range map[int]rmi.Code{
		200: rmi.OK, 204: rmi.OK, 302: rmi.Unknown, 405: rmi.Unimplemented, 408: rmi.DeadlineExceeded, 413: rmi.ResourceExhausted,
		418: rmi.InvalidArgument, 502: rmi.Unavailable, 599: rmi.Unknown,
	} {
		if got := CodeOfStatus(status); got != want {
			t.Errorf("status %d: got %v, want %v", status, got, want)
		}
	}
}

func TestFaultsKeepWhatTheMethodSaid(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want xmlrpc.Fault
	}{
		{"no such name", &rmi.Error{Code: rmi.NotFound, Message: "m", Execution: rmi.NotExecuted}, xmlrpc.Fault{Code: xmlrpc.CodeMethodNotFound, String: "m"}},
		{"a method's own not found", &rmi.Error{Code: rmi.NotFound, Message: "m"}, xmlrpc.Fault{Code: -32015, String: "m"}},
		{"a fault code", &rmi.Error{Code: rmi.Unknown, Message: "m", Details: map[string]string{DetailFault: "7"}}, xmlrpc.Fault{Code: 7, String: "m"}},
		{"a fault code that is none", &rmi.Error{Code: rmi.Unknown, Message: "m", Details: map[string]string{DetailFault: "x"}}, xmlrpc.Fault{Code: -32500, String: "m"}},
		{"a fault code beyond 32 bits", &rmi.Error{Code: rmi.Unknown, Message: "m", Details: map[string]string{DetailFault: "4294967296"}}, xmlrpc.Fault{Code: -32500, String: "m"}},
		{"another error", errors.New("m"), xmlrpc.Fault{Code: -32500, String: "m"}},
	} {
		if got := faultOf(tt.err); *got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, *got, tt.want)
		}
	}
}

func TestTheManualHasTheTable(t *testing.T) {
	data, err := os.ReadFile("../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 3 {
			code, _, _ := strings.Cut(strings.TrimSpace(cells[0]), ":")
			rows[code] = cells
		}
	}
	for _, b := range boundaries() {
		cells := rows[b.code.String()]
		if cells == nil {
			t.Errorf("%v is missing", b.code)
			continue
		}
		if !strings.HasPrefix(strings.TrimSpace(cells[1]), strconv.Itoa(b.fault)) || strings.TrimSpace(cells[2]) != strconv.Itoa(b.status) {
			t.Errorf("%v: the manual says %q, want %d and %d", b.code, cells[1:], b.fault, b.status)
		}
	}
}
