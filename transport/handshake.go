package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// preface is the first thing either side sends.
const preface = "\xfaFARCALL"

// Kinds of records.
const (
	recordHello   = 1
	recordRefusal = 2
)

// past is a time that no deadline can be before.
var past = time.Unix(1, 0)

// handshake exchanges hellos over a connection. Its conn has a deadline that
// the caller set.
type handshake struct {
	conn net.Conn
	mine greeting
}

// asClient speaks first and returns what the server said of itself.
func (h handshake) asClient() (greeting, error) {
	if err := h.sendHello(); err != nil {
		return greeting{}, err
	}
	kind, body, err := h.receive("server")
	if err != nil {
		return greeting{}, err
	}
	if kind == recordRefusal {
		r, err := decodeRefusal(body)
		if err != nil {
			return greeting{}, h.fail(err.Error(), nil)
		}
		return greeting{}, h.mismatch(fmt.Sprintf("the peer refused: %q", r.reason), VersionRange{r.lowest, r.highest})
	}
	theirs, err := decodeGreeting(body)
	if err != nil {
		return greeting{}, h.fail(err.Error(), nil)
	}
	return theirs, h.settle(theirs)
}

// asServer waits for the client to speak and returns what it said of itself.
func (h handshake) asServer() (greeting, error) {
	kind, body, err := h.receive("client")
	if err != nil {
		return greeting{}, err
	}
	if kind != recordHello {
		return greeting{}, h.fail("the client's first record is not a hello", nil)
	}
	theirs, err := decodeGreeting(body)
	if err != nil {
		return greeting{}, h.fail(err.Error(), nil)
	}
	if err := h.settle(theirs); err != nil {
		r := refusal{h.mine.lowest, h.mine.Version, "no version that both sides speak"}
		h.send(recordRefusal, r.encode()) // the client may be gone; the reason to report stays err
		return greeting{}, err
	}
	return theirs, h.sendHello()
}

// settle checks that there is a version that both sides speak.
func (h handshake) settle(theirs greeting) error {
	if v := min(h.mine.Version, theirs.Version); v < h.mine.lowest || v < theirs.lowest {
		return h.mismatch("no version that both sides speak", VersionRange{theirs.lowest, theirs.Version})
	}
	return nil
}

func (h handshake) sendHello() error {
	body, err := h.mine.encode()
	if err != nil {
		return h.fail("", err)
	}
	return h.send(recordHello, body)
}

// send writes the preface and one record, in one piece.
func (h handshake) send(kind byte, body []byte) error {
	b := append([]byte(preface), kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	if _, err := h.conn.Write(append(b, body...)); err != nil {
		return h.fail("send hello", err)
	}
	return nil
}

// receive reads the preface and one record, and not a byte more.
func (h handshake) receive(who string) (kind byte, body []byte, err error) {
	var head [len(preface)]byte
	n, err := io.ReadFull(h.conn, head[:])
	if !bytes.HasPrefix([]byte(preface), head[:n]) {
		return 0, nil, h.fail(fmt.Sprintf("the %s began with %q%s, not with Farcall's preface",
			who, head[:n], guess(head[:n])), nil)
	}
	if err != nil {
		return 0, nil, h.fail(fmt.Sprintf("waiting for the %s's preface, %d of %d bytes came", who, n, len(head)), err)
	}
	var rec [3]byte
	if _, err := io.ReadFull(h.conn, rec[:]); err != nil {
		return 0, nil, h.fail("waiting for the "+who+"'s hello", err)
	}
	size := binary.BigEndian.Uint16(rec[1:])
	switch {
	case rec[0] != recordHello && rec[0] != recordRefusal:
		return 0, nil, h.fail(fmt.Sprintf("the %s's first record is of unknown kind %d", who, rec[0]), nil)
	case size > maxRecord:
		return 0, nil, h.fail(fmt.Sprintf("the %s's hello has %d bytes, and the most allowed is %d", who, size, maxRecord), nil)
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(h.conn, body); err != nil {
		return 0, nil, h.fail("in the middle of the "+who+"'s hello", err)
	}
	return rec[0], body, nil
}

// guess says what head may be the beginning of, in parentheses, or nothing.
func guess(head []byte) string {
	kind, _ := classify(head)
	switch {
	case kind == protocolTLS || bytes.HasPrefix(head, []byte{0x15, 3}):
		return " (TLS)"
	case kind == protocolHTTP || strings.HasPrefix(string(head), "HTTP/"):
		return " (HTTP)"
	case kind == protocolPyro:
		return " (Pyro)"
	}
	return ""
}

func (h handshake) mismatch(reason string, theirs VersionRange) error {
	e := h.fail(reason, nil)
	e.Ours, e.Theirs = VersionRange{h.mine.lowest, h.mine.Version}, theirs
	return e
}

func (h handshake) fail(reason string, err error) *HandshakeError {
	return &HandshakeError{Addr: h.conn.RemoteAddr().String(), Reason: reason, Err: err}
}

// establish makes conn a session, which owns it from here on; on failure conn
// is closed.
func establish(ctx context.Context, conn net.Conn, opts Options, client bool) (_ Session, err error) {
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	opts, err = opts.withDefaults()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, opts.HandshakeTimeout,
		fmt.Errorf("not done within %v", opts.HandshakeTimeout))
	defer cancel()
	stop := context.AfterFunc(limited, func() { conn.SetDeadline(past) })
	defer stop()

	h := handshake{conn, greeting{lowest: minVersion, maxStreams: uint64(opts.MaxStreams), Hello: opts.Hello}}
	shake := h.asServer
	if client {
		shake = h.asClient
	}
	theirs, err := shake()
	if !stop() && err == nil { // the deadline passed at the last moment, and conn may be spoilt
		err = limited.Err()
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, h.explain(limited, err)
	}
	return newYamuxSession(conn, opts, theirs, client), nil
}

// explain makes err a HandshakeError, and names the context that ended rather
// than the deadline that it put on the connection.
func (h handshake) explain(ctx context.Context, err error) error {
	e, ok := errors.AsType[*HandshakeError](err)
	if !ok {
		e = h.fail("", err)
	}
	if ctx.Err() != nil {
		if e.Reason == "" && e.Err != nil {
			e.Reason = e.Err.Error()
		}
		e.Err = context.Cause(ctx)
	}
	return e
}
