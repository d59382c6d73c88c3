package rmi

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"farcall.dev/naming"
)

var update = flag.Bool("update", false, "write the golden files of the wire format")

// sampleFrames are one of each frame, with everything it can hold.
func sampleFrames() map[string][]byte {
	call := &Call{
		Object: "shop.cart", Method: "add", Args: Payload{Type: ContentXMLRPC, Data: []byte("<arguments>")},
		Metadata: Metadata{"trace-id": "4bf92f", "user": "letian"},
	}
	reply := &Reply{Result: Payload{Data: []byte{0x18, 0x2a}}, Metadata: Metadata{"cached": ""}}
	linked := &Call{
		Object: "#AAECAwQFBgcICQoL", Method: "say", Way: OneWayTaken, replyOnly: true, keep: new(started),
		Args:     Payload{Data: []byte{0x81, 0xf6}, streams: make([]itemSource, 2)},
		Trail:    Trail{Depth: 2, Correlation: "c0ffee", Recent: []string{"chat.join on n1", "room.enter on n2"}},
		building: &building{uses: []promiseUse{{arg: 1, call: 299, result: 2}}},
		token:    callToken{seq: 17, least: 9},
	}
	streaming := &Reply{Result: Payload{Data: []byte{0xda, 0x46, 0x41, 0x52, 0x44, 0x00}, streams: make([]itemSource, 1)}}
	failed := &Error{
		Code: NotFound, Message: "no such thing", Type: "*shop.MissingError", Execution: NotExecuted,
		Details: map[string]string{"id": "7", "kind": "thing"}, Trace: "goroutine 1",
	}
	passed := &Error{
		Code: Unknown, Message: "1 left", Type: "*shop.OutOfStock",
		values: []errorValue{{"shop.OutOfStock", []byte{0xa1, 0x64, 'L', 'e', 'f', 't', 0x01}}},
		Hops:   []Hop{{Node: "n2", Called: "shop.buy"}, {Node: "n3", Called: "order.place"}},
	}
	large := make([]byte, LargePayload+1)
	plain, relayed := sampleReferences()
	return map[string][]byte{
		"request":       append(appendRequest(nil, 300, 1500*time.Millisecond, call), call.Args.Data...),
		"request_small": append(appendRequest(nil, 1, 0, &Call{Object: "add", Args: Payload{Data: []byte{0x80}}}), 0x80),
		"request_chain": append(appendRequest(nil, 301, time.Second, linked), linked.Args.Data...),
		"reply_stream":  append(appendReply(nil, 301, streaming), streaming.Result.Data...),
		"item":          append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 1}), 0x07),
		"items":         appendItemsKey(nil, itemsKey{call: 301, own: false, number: 1}),
		"end":           appendSmallFrame(nil, frameEnd, 0),
		"credit":        appendSmallFrame(nil, frameCredit, 16),
		"hold":          appendReceipts(nil, frameHold, flagHoldFirst|flagHoldLast, 7, []receipt{{plain.id, 1}, {relayed.id, 300}}),
		"drop":          appendReceipts(nil, frameDrop, 0, 7, []receipt{{plain.id, 0}}),
		"reference":     append(appendReply(nil, 302, &Reply{Result: Payload{Data: relayed.append(nil)}}), relayed.append(nil)...),
		"forget":        appendSmallFrame(nil, frameForget, 301),
		"reply":         append(appendReply(nil, 300, reply), reply.Result.Data...),
		"reply_small":   appendReply(nil, 1, &Reply{}),
		"error":         appendError(nil, 300, failed, true),
		"error_value":   appendError(nil, 301, passed, true),
		"error_small":   appendError(nil, 1, &Error{Code: Internal}, true),
		"cancel":        appendSmallFrame(nil, frameCancel, 300),
		"goaway_soon":   appendGoAway(nil, leavingSoon),
		"goaway_gone":   appendGoAway(nil, leavingForGood),
		"goaway_done":   appendGoAway(nil, leavingDone),
		"ping":          appendSmallFrame(nil, framePing, 7),
		"pong":          appendSmallFrame(nil, framePong, 7),
		"taken":         appendSmallFrame(nil, frameTaken, 300),
		"request_apart": appendRequestApart(nil, 303, time.Second, &Call{Object: "shop.cart", Method: "add", Args: Payload{Data: large}}),
		"reply_apart":   appendReplyApart(nil, 303, &Reply{Result: Payload{Data: large}, Metadata: Metadata{"cached": ""}}),
		"grant":         appendGrant(nil, argsTag(303)),
		"grant_reply":   appendGrant(nil, resultTag(303)),
	}
}

// A change of these files is a change of the protocol.
func TestWireGoldenBytes(t *testing.T) {
	for name, frame := range sampleFrames() {
		path := filepath.Join("testdata", "wire", name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hexLines(frame)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := hexLines(frame); got != string(want) {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

// hexLines returns b as lines of 16 bytes.
func hexLines(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(16, len(b))
		fmt.Fprintf(&s, "% x\n", b[:n])
		b = b[n:]
	}
	return s.String()
}

// frameOf reads one frame and fails the test when it is not all of b.
func frameOf(t *testing.T, b []byte) (frameHeader, []byte, []byte) {
	t.Helper()
	r := newFrameReader(bytes.NewReader(b), new(counters))
	h, body, err := r.next()
	if err != nil {
		t.Fatalf("read % x: %v", b, err)
	}
	if r.start != r.end {
		t.Fatalf("% x: %d bytes are left behind the frame", b, r.end-r.start)
	}
	head, payload, err := splitBody(body)
	if err != nil && h.size > 0 {
		t.Fatal(err)
	}
	return h, head, payload
}

func TestWireRoundTrips(t *testing.T) {
	frames := sampleFrames()

	h, head, payload := frameOf(t, frames["request"])
	var rh requestHead
	if err := rh.decode(head); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%v %d %s.%s %d %v %v %s", h.typ, h.id, rh.object, rh.method, rh.typ, rh.timeout, rh.metadata, payload)
	want := "REQUEST 300 shop.cart.add 1 1.5s map[trace-id:4bf92f user:letian] <arguments>"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	h, head, payload = frameOf(t, frames["reply"])
	var ph replyHead
	if err := ph.decode(head); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%v %d %d %v %x", h.typ, h.id, ph.typ, ph.metadata, payload), "REPLY 300 0 map[cached:] 182a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	h, head, _ = frameOf(t, frames["error"])
	wantErr := &Error{
		Code: NotFound, Message: "no such thing", Type: "*shop.MissingError", Execution: NotExecuted,
		Details: map[string]string{"id": "7", "kind": "thing"}, Trace: "goroutine 1", Remote: true,
	}
	if diff := cmp.Diff(wantErr, decodeError(head), cmpopts.IgnoreUnexported(Error{})); diff != "" || h.typ != frameError {
		t.Errorf("%v, want %v (-want +got):\n%s", h.typ, frameError, diff)
	}
}

func TestWireDeadlineNeverBecomesNone(t *testing.T) {
	for timeout, want := range map[time.Duration]uint64{
		-1: 0, 0: 0, 1: 1, time.Microsecond: 1, 1001: 2, time.Hour: 3_600_000_000, 1<<63 - 1: uint64(maxTimeout / time.Microsecond),
	} {
		if got := timeoutMicros(timeout); got != want {
			t.Errorf("%d ns: got %d µs, want %d", timeout, got, want)
		}
	}
}

func TestWireSkipsUnknownFields(t *testing.T) {
	call := &Call{Object: "o", Method: "m", Metadata: Metadata{"k": "v"}}
	_, head, _ := frameOf(t, appendRequest(nil, 1, 0, call))
	head = append(bytes.Clone(head), 99, 3, 'a', 'b', 'c', 0xff, 0x01, 0)
	var rh requestHead
	if err := rh.decode(head); err != nil || rh.metadata["k"] != "v" || len(rh.metadata) != 1 {
		t.Errorf("request: got %v, %v, want the metadata only", rh.metadata, err)
	}
	_, head, _ = frameOf(t, appendError(nil, 1, &Error{Code: Aborted, Message: "m"}, true))
	if e := decodeError(append(bytes.Clone(head), 99, 1, 'x')); e.Code != Aborted || e.Message != "m" {
		t.Errorf("error: got %v, want ABORTED: m", e)
	}
}

func TestWireRefusesWhatIsTooMuch(t *testing.T) {
	keys := func(n int) Metadata {
		m := make(Metadata)
		for i := range n {
			m[fmt.Sprint("k", i)] = ""
		}
		return m
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct {
		name string
		call Call
		code Code
		text string
	}{
		{"object", Call{Object: "o", Method: "m"}, OK, ""},
		{"longest names", Call{Object: naming255, Method: long(255)}, OK, ""},
		{"object too long", Call{Object: naming255 + "x"}, InvalidArgument, "256 bytes"},
		{"method too long", Call{Method: long(256)}, InvalidArgument, "256 bytes"},
		{"most keys", Call{Metadata: keys(MaxMetadataKeys)}, OK, ""},
		{"too many keys", Call{Metadata: keys(MaxMetadataKeys + 1)}, ResourceExhausted, "64 keys"},
		{"most metadata", Call{Metadata: Metadata{"k": long(MaxMetadataSize - 1)}}, OK, ""},
		{"too much metadata", Call{Metadata: Metadata{"k": long(MaxMetadataSize)}}, ResourceExhausted, "8192 bytes"},
		{"empty key", Call{Metadata: Metadata{"": "v"}}, InvalidArgument, "1 to 128"},
		{"key too long", Call{Metadata: Metadata{long(129): "v"}}, InvalidArgument, "1 to 128"},
		{"upper case key", Call{Metadata: Metadata{"Key": "v"}}, InvalidArgument, `"Key"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, head, _ := frameOf(t, appendRequest(nil, 1, 0, &tc.call))
			var rh requestHead
			err := rh.decode(head)
			if sent := checkMetadata(tc.call.Metadata); len(tc.call.Metadata) > 0 && (sent == nil) != (err == nil) {
				t.Errorf("the sender says %v, the receiver %v; want the same", sent, err)
			}
			if tc.code == OK {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				return
			}
			wantError(t, err, tc.code, NotExecuted, tc.text)
		})
	}
}

func TestWireErrorsAreCutToFit(t *testing.T) {
	details := make(map[string]string)
	for i := range 100 {
		details[fmt.Sprintf("key%02d", i)] = strings.Repeat("v", 200)
	}
	e := &Error{
		Message: strings.Repeat("é", maxErrorText), Type: strings.Repeat("T", 300),
		Trace: strings.Repeat("t", 1<<20) + "\xff", Details: details, Code: Aborted,
	}
	for range 20 {
		e.values = append(e.values, errorValue{"name", make([]byte, 3<<10)})
		e.Hops = append(e.Hops, Hop{"node", strings.Repeat("c", 128)})
	}
	frame := appendError(nil, 1, e, true)
	h, head, _ := frameOf(t, frame)
	if h.size > maxFrame || len(head) > maxFrameHead {
		t.Errorf("got a body of %d and a head of %d bytes, want at most %d and %d", h.size, len(head), maxFrame, maxFrameHead)
	}
	got := decodeError(head)
	size := 0
	for k, v := range got.Details {
		size += len(k) + len(v)
	}
	if got.Code != Aborted || len(got.Message) > maxErrorText || !strings.HasSuffix(got.Message, "é…") ||
		len(got.Type) > maxErrorType || len(got.Trace) > maxErrorText || len(got.Trace) < 1<<10 ||
		len(got.values) != 2 || len(got.Hops) != 15 || len(got.Details) > maxErrorDetails || size > maxErrorDetailSize {
		t.Errorf("got %d bytes of message, %d of type, %d of trace, %d details of %d bytes", len(got.Message), len(got.Type), len(got.Trace), len(got.Details), size)
	}
}

func TestWireTakesNoMoreOfAnErrorThanAllowed(t *testing.T) {
	head := []byte{byte(Aborted), 0}
	for range 1000 {
		head = appendPair(head, fieldHop, "", "")
		head = appendPair(head, fieldValue, "", "")
	}
	if e := decodeError(head); len(e.Hops) != maxErrorHops || len(e.values) != maxErrorValues {
		t.Errorf("got %d hops and %d values, want %d and %d", len(e.Hops), len(e.values), maxErrorHops, maxErrorValues)
	}
	head = []byte{byte(Aborted), 0}
	for range 4 {
		head = appendPair(head, fieldValue, "name", make([]byte, 3<<10))
		head = appendPair(head, fieldHop, "n", strings.Repeat("c", 900))
	}
	if e := decodeError(head); len(e.Hops) != 2 || len(e.values) != 2 || len(e.Hops[0].Called) > maxErrorCalled {
		t.Errorf("got %d hops and %d values, want 2 of each, which are what fits", len(e.Hops), len(e.values))
	}
}

func TestWireUnreadableErrorsStillFail(t *testing.T) {
	for _, head := range []string{"", "05", "0500" + "01ff", "0000"} {
		b, _ := hex.DecodeString(head)
		e := decodeError(b)
		if e.Code == OK || !e.Remote {
			t.Errorf("%q: got %+v, want an error of the peer", head, e)
		}
	}
}

// naming255 is the longest name.
var naming255 = naming.Name(strings.Repeat("o", 255))

// FuzzWireHeads holds the decoders of heads against any bytes: they do not
// panic, stay within the limits, and what they accept comes out the same when
// it is encoded again.
func FuzzWireHeads(f *testing.F) {
	for _, frame := range sampleFrames() {
		if _, n, err := parseFrameHeader(frame); err == nil && n < len(frame) {
			if head, _, err := splitBody(frame[n:]); err == nil {
				f.Add(head)
			}
		}
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		var rh requestHead
		if rh.decode(head) == nil {
			call := &Call{Object: naming.Name(rh.object), Method: string(rh.method), Metadata: rh.metadata,
				Args:  Payload{Type: rh.typ, streams: make([]itemSource, rh.streams)},
				Trail: rh.trail, building: &building{uses: rh.promises}, token: rh.token}
			_, again, _ := frameOf(t, appendRequest(nil, 1, rh.timeout, call))
			var second requestHead
			if err := second.decode(again); err != nil {
				t.Fatalf("encoded again it is refused: %v", err)
			}
			if diff := cmp.Diff(rh, second, cmp.AllowUnexported(requestHead{}, callFields{}, callToken{}, promiseUse{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("encoded again it differs:\n%s", diff)
			}
		}
		var ph replyHead
		if ph.decode(head) == nil {
			if err := checkMetadata(ph.metadata); err != nil {
				t.Fatalf("a reply beyond the limits was accepted: %v", err)
			}
		}
		e := decodeError(head)
		if e.Code == OK {
			t.Fatal("an error has code OK")
		}
		_, again, _ := frameOf(t, appendError(nil, 1, e, true))
		if second := decodeError(again); second.Code != e.Code || second.Message != e.Message || second.Execution != e.Execution {
			t.Fatalf("encoded again: got %+v, want %+v", second, e)
		}
		decodeGoAway(head)
	})
}
