package main

import (
	"context"
	"errors"
	"io"
	"net"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"storj.io/drpc"
	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"
)

// drpcCodec is protobuf for drpc.
type drpcCodec struct{}

func (drpcCodec) Marshal(msg drpc.Message) ([]byte, error) {
	return proto.Marshal(msg.(proto.Message))
}

func (drpcCodec) Unmarshal(buf []byte, msg drpc.Message) error {
	return proto.Unmarshal(buf, msg.(proto.Message))
}

// drpcEcho describes the service as generated code would.
type drpcEcho struct{}

func (drpcEcho) NumMethods() int { return 1 }

func (drpcEcho) Method(int) (string, drpc.Encoding, drpc.Receiver, any, bool) {
	return echoMethod, drpcCodec{}, func(_ any, _ context.Context, in1, _ any) (drpc.Message, error) {
		return &wrapperspb.BytesValue{Value: in1.(*wrapperspb.BytesValue).Value}, nil
	}, drpcEchoMethod, true
}

// drpcEchoMethod has the signature from which drpc learns the argument's type.
func drpcEchoMethod(drpcEcho, context.Context, *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	return nil, errors.New("not called")
}

func serveDRPC() (string, io.Closer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	mux := drpcmux.New()
	if err := mux.Register(drpcEcho{}, drpcEcho{}); err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go drpcserver.New(mux).Serve(ctx, ln)
	return ln.Addr().String(), closers{func() error { cancel(); return nil }, ln.Close}, nil
}

// drpcClient keeps connections that nobody uses: a connection of drpc carries
// one call at a time.
type drpcClient struct {
	address string
	idle    chan *drpcconn.Conn
}

func dialDRPC(_ context.Context, address string, callers int) (client, error) {
	return &drpcClient{address: address, idle: make(chan *drpcconn.Conn, callers)}, nil
}

func (c *drpcClient) Echo(ctx context.Context, _ int, p []byte) ([]byte, error) {
	var conn *drpcconn.Conn
	select {
	case conn = <-c.idle:
	default:
		raw, err := new(net.Dialer).DialContext(ctx, "tcp", c.address)
		if err != nil {
			return nil, err
		}
		conn = drpcconn.New(raw)
	}
	var out wrapperspb.BytesValue
	if err := conn.Invoke(ctx, echoMethod, drpcCodec{}, &wrapperspb.BytesValue{Value: p}, &out); err != nil {
		conn.Close()
		return nil, err
	}
	c.idle <- conn
	return out.Value, nil
}

func (c *drpcClient) Close() error {
	for {
		select {
		case conn := <-c.idle:
			conn.Close()
		default:
			return nil
		}
	}
}
