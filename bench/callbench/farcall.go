package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"farcall.dev"
	"farcall.dev/internal/telemetry"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// echo is the object that Farcall's contestants call.
type echo struct{}

// Echo returns p.
func (echo) Echo(_ context.Context, p []byte) ([]byte, error) { return p, nil }

// serveFarcall starts a node as a daemon is one: with metrics around its calls.
func serveFarcall() (string, io.Closer, error) {
	ctx := context.Background()
	metrics := telemetry.New(telemetry.Options{})
	mesh, err := farcall.Join(ctx, farcall.Options{
		Node: "server", Registry: naming.NewMemory().Registry(), Listen: "127.0.0.1:0",
		ServeWith: []rmi.Middleware{metrics.Server(nil)},
	})
	if err != nil {
		return "", nil, err
	}
	if err := mesh.Register(ctx, "echo", echo{}, farcall.RegisterOptions{}); err != nil {
		return "", nil, err
	}
	inst, err := mesh.Resolver().Resolve(ctx, "echo")
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("%s %d", mesh.Addr(), inst.Instances[0].Incarnation), mesh, nil
}

// farcallClient calls by name.
type farcallClient struct {
	mesh  *farcall.Mesh
	store naming.Registry
}

// dialFarcall joins a process that only calls. The registry is one in memory
// that holds what the server has registered; once a name is resolved, a real one
// takes no part in a call.
func dialFarcall(ctx context.Context, address string, _ int) (client, error) {
	addr, inc, _ := strings.Cut(address, " ")
	incarnation, err := strconv.ParseUint(inc, 10, 64)
	if err != nil {
		return nil, err
	}
	memory := naming.NewMemory()
	store := memory.Registry()
	if err := store.Register(ctx, naming.Instance{
		Name: "echo", Node: "server", Incarnation: naming.Incarnation(incarnation), Kind: naming.KindObject,
		Addrs: map[naming.Protocol]string{naming.ProtocolMesh: addr},
	}); err != nil {
		return nil, err
	}
	metrics := telemetry.New(telemetry.Options{})
	mesh, err := farcall.Join(ctx, farcall.Options{
		Node: "client", Registry: memory.Registry(), CallWith: []rmi.Middleware{metrics.Client(nil)},
	})
	if err != nil {
		return nil, err
	}
	return &farcallClient{mesh: mesh, store: store}, nil
}

func (c *farcallClient) Echo(ctx context.Context, _ int, p []byte) ([]byte, error) {
	return farcall.Call[[]byte](ctx, c.mesh, "echo", "echo", p)
}

func (c *farcallClient) Close() error {
	c.mesh.Close()
	return c.store.Close(context.Background())
}
