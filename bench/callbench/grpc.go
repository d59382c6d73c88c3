package main

import (
	"context"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// maxMessage is the largest message, in bytes, that the others are set to take.
const maxMessage = 80 << 20

// echoMethod is the path of the echo for those who have paths.
const echoMethod = "/bench.Echo/Echo"

// grpcEcho describes the service as generated code would.
var grpcEcho = grpc.ServiceDesc{
	ServiceName: "bench.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.BytesValue)
		if err := dec(in); err != nil {
			return nil, err
		}
		return &wrapperspb.BytesValue{Value: in.Value}, nil
	}}},
}

func serveGRPC() (string, io.Closer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))
	server.RegisterService(&grpcEcho, nil)
	go server.Serve(ln)
	return ln.Addr().String(), closers{func() error { server.Stop(); return nil }}, nil
}

type grpcClient struct{ *grpc.ClientConn }

func dialGRPC(_ context.Context, address string, _ int) (client, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, err
	}
	return grpcClient{conn}, nil
}

func (c grpcClient) Echo(ctx context.Context, _ int, p []byte) ([]byte, error) {
	var out wrapperspb.BytesValue
	err := c.Invoke(ctx, echoMethod, &wrapperspb.BytesValue{Value: p}, &out)
	return out.Value, err
}
