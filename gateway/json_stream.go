package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"farcall.dev/rmi"
)

// linesType is the media type of a stream: one JSON document a line.
const linesType = "application/x-ndjson"

// streams reports whether the result of m is a stream.
func streams(m rmi.MethodInfo) bool {
	return len(m.Results) == 1 && m.Results[0].Kind == rmi.KindStream
}

// writeStream writes the items of s as they come, each as {"item": ...} in a line
// of its own, until ctx ends or the client takes nothing for too long. A stream
// that breaks off ends with a line as a failed call is told.
func (g *Gateway) writeStream(ctx context.Context, w http.ResponseWriter, t target, s *rmi.Stream[any]) {
	defer s.Close()
	out := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", linesType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	write := func(line []byte) bool {
		out.SetWriteDeadline(time.Now().Add(writePatience))
		if _, err := w.Write(line); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	if !write(nil) {
		return
	}
	for {
		line, err := g.streamLine(ctx, t, s)
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			write(errorDocument(rmi.FromError(err)))
			return
		case !write(line):
			return
		}
	}
}

// streamLine returns the next item of s as a line.
func (g *Gateway) streamLine(ctx context.Context, t target, s *rmi.Stream[any]) ([]byte, error) {
	item, err := s.Recv(ctx)
	if err != nil {
		return nil, err
	}
	line, err := appendJSON([]byte(`{"item":`), item)
	if err != nil {
		return nil, rmi.Errorf(rmi.Internal, "an item of %s: %w", t, err)
	}
	if len(line) > g.opts.MaxResponse {
		return nil, rmi.Errorf(rmi.ResourceExhausted, "an item of %s has %d bytes of JSON, and the most that is sent is %d", t, len(line), g.opts.MaxResponse)
	}
	return append(line, "}\n"...), nil
}
