package main

import (
	"context"
	"io"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// plainHTTP2 is HTTP/2 without TLS, and nothing else.
func plainHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func serveConnect() (string, io.Closer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(echoMethod, connect.NewUnaryHandler(echoMethod,
		func(_ context.Context, r *connect.Request[wrapperspb.BytesValue]) (*connect.Response[wrapperspb.BytesValue], error) {
			return connect.NewResponse(&wrapperspb.BytesValue{Value: r.Msg.Value}), nil
		}))
	server := &http.Server{Handler: mux, Protocols: plainHTTP2(), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 4096}}
	go server.Serve(ln)
	return ln.Addr().String(), server, nil
}

type connectClient struct {
	http *http.Transport
	rpc  *connect.Client[wrapperspb.BytesValue, wrapperspb.BytesValue]
}

func dialConnect(_ context.Context, address string, _ int) (client, error) {
	t := &http.Transport{Protocols: plainHTTP2()}
	return &connectClient{http: t, rpc: connect.NewClient[wrapperspb.BytesValue, wrapperspb.BytesValue](
		&http.Client{Transport: t}, "http://"+address+echoMethod)}, nil
}

func (c *connectClient) Echo(ctx context.Context, _ int, p []byte) ([]byte, error) {
	resp, err := c.rpc.CallUnary(ctx, connect.NewRequest(&wrapperspb.BytesValue{Value: p}))
	if err != nil {
		return nil, err
	}
	return resp.Msg.Value, nil
}

func (c *connectClient) Close() error {
	c.http.CloseIdleConnections()
	return nil
}
