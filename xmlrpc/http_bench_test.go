package xmlrpc

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkHTTP makes calls by 64 callers: of a Client to a Handler, and, beside
// it, of an http.Client to a handler that echoes the same bytes. The two take turns
// of a fraction of a second, so that what else the machine does is shared fairly.
// An operation is one call of each; "of-bare" is the rate of calls, as a part of
// that of the bare ones. In between, "handler" is a bare client of a Handler.
func BenchmarkHTTP(b *testing.B) {
	for _, size := range []struct {
		name, method string
		args         []any
	}{{"add", "add", []any{3, 4}}, {"10kB", "echo", []any{strings.Repeat("x", 10_000)}}} {
		b.Run(size.name, func(b *testing.B) {
			doc, err := AppendRequest(nil, EncodeOptions{}, size.method, size.args...)
			must(b, err)
			echo := serve(b, http.HandlerFunc(echoBytes))
			real := serve(b, newTestHandler(b, HandlerOptions{}))
			c := dial(b, real, ClientOptions{})
			turns := []func() error{
				barePoster(b, echo, doc),
				barePoster(b, real, doc),
				func() error {
					var v any
					return c.Call(context.Background(), size.method, &v, size.args...)
				},
			}
			took := make([]time.Duration, len(turns))
			for left := b.N; left > 0; left -= 2000 {
				for i, call := range turns {
					began := time.Now()
					callers(b, min(left, 2000), call)
					took[i] += time.Since(began)
				}
			}
			b.ReportMetric(float64(b.N)/took[0].Seconds(), "bare/s")
			b.ReportMetric(float64(b.N)/took[2].Seconds(), "calls/s")
			b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "handler-of-bare")
			b.ReportMetric(took[0].Seconds()/took[2].Seconds(), "of-bare")
		})
	}
}

// callers makes n calls from 64 goroutines.
func callers(b *testing.B, n int, call func() error) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// echoBytes answers by what it was sent.
func echoBytes(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// barePoster posts doc as anybody would by net/http, over the same transport.
func barePoster(b *testing.B, url string, doc []byte) func() error {
	client := &http.Client{Transport: ownTransport(nil)}
	b.Cleanup(client.CloseIdleConnections)
	return func() error {
		resp, err := client.Post(url, "text/xml", bytes.NewReader(doc))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
}
