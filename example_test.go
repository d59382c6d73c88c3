package farcall_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// Greeter makes greetings.
type Greeter struct{}

// GetFortune greets somebody.
func (Greeter) GetFortune(name string) string { return "Hello, " + name + "." }

// A process that serves: join, register, stay until told to stop.
func ExampleMesh_Register() {
	ctx := context.Background()
	mesh, err := farcall.Join(ctx, farcall.Options{Registry: store.Registry(), Listen: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	defer mesh.Shutdown(ctx)
	if err := mesh.Register(ctx, "greeting", Greeter{}, farcall.RegisterOptions{}); err != nil {
		log.Fatal(err)
	}
	info, _ := mesh.Describe(ctx, "greeting", "")
	fmt.Println(info.Methods[0].Signature())
	// Output: get_fortune(string) -> string
}

// A process that calls: join, call by name.
func ExampleCall() {
	ctx := context.Background()
	defer serveGreeting().Close()

	mesh, err := farcall.Join(ctx, farcall.Options{Registry: store.Registry()})
	if err != nil {
		log.Fatal(err)
	}
	defer mesh.Shutdown(ctx)
	text, err := farcall.Call[string](ctx, mesh, "greeting", "get_fortune", "letian")
	fmt.Println(text, err)
	// Output: Hello, letian. <nil>
}

// A struct of funcs makes a typed client, without generated code.
func ExampleMesh_Bind() {
	ctx := context.Background()
	mesh := serveGreeting()
	defer mesh.Close()

	var greeting struct {
		GetFortune func(ctx context.Context, name string) (string, error)
	}
	if err := mesh.Bind("greeting", &greeting); err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting.GetFortune(ctx, "letian"))
	// Output: Hello, letian. <nil>
}

// Errors say what failed, and by their code what to do about it.
func ExampleCall_errors() {
	ctx := context.Background()
	mesh := serveGreeting()
	defer mesh.Close()

	_, err := farcall.Call[string](ctx, mesh, "greting", "get_fortune", "letian")
	fmt.Println(err, errors.Is(err, naming.ErrNotFound))
	_, err = farcall.Call[string](ctx, mesh, "greeting", "get_fortune", 42)
	if e, ok := errors.AsType[*rmi.Error](err); ok {
		fmt.Println(e.Code, "|", e.Message)
	}
	// Output:
	// NOT_FOUND: nothing named "greting" is registered; did you mean "greeting"? true
	// INVALID_ARGUMENT | greeting.get_fortune: argument 1: want string, got an integer (42)
}

// store stands in for a name server.
var store = naming.NewMemory()

// serveGreeting serves the greeting.
func serveGreeting() *farcall.Mesh {
	ctx := context.Background()
	mesh, err := farcall.Join(ctx, farcall.Options{Registry: store.Registry(), Listen: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	if err := mesh.Register(ctx, "greeting", Greeter{}, farcall.RegisterOptions{}); err != nil {
		log.Fatal(err)
	}
	return mesh
}
