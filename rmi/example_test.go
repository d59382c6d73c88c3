package rmi_test

import (
	"context"
	"errors"
	"fmt"

	"farcall.dev/rmi"
)

// Greeting is an object as an application writes it.
type Greeting struct{}

// GetFortune greets.
func (*Greeting) GetFortune(name string) string { return "Hello, " + name + "." }

// Add adds.
func (*Greeting) Add(ctx context.Context, a, b int) (int, error) { return a + b, nil }

// An object is exported once; here it is called in the process that exports
// it, by the same functions that call it from afar.
func Example() {
	objects := rmi.NewObjects(rmi.ObjectsOptions{})
	if err := objects.Export("greeting", &Greeting{}, rmi.ExportOptions{
		Docs: rmi.Docs{Params: map[string][]string{"GetFortune": {"name"}}},
	}); err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()

	fmt.Println(rmi.Invoke(ctx, objects, "greeting", "get_fortune", "letian"))
	fmt.Println(rmi.InvokeAs[int](ctx, objects, "greeting", "add", 3, 4))
	_, err := rmi.Invoke(ctx, objects, "greeting", "get_fortune", 42)
	fmt.Println(err)
	_, err = rmi.Invoke(ctx, objects, "greeting", "get_fortun", "letian")
	fmt.Println(err)
	// Output:
	// Hello, letian. <nil>
	// 7 <nil>
	// INVALID_ARGUMENT: greeting.get_fortune: argument 1 (name): want string, got an integer (42)
	// UNIMPLEMENTED: greeting has no method get_fortun; did you mean get_fortune? it has: add, get_fortune
}

// A stub is a struct of funcs.
func ExampleBind() {
	objects := rmi.NewObjects(rmi.ObjectsOptions{})
	if err := objects.Export("greeting", &Greeting{}, rmi.ExportOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	var greeting struct {
		GetFortune func(ctx context.Context, name string) (string, error) `rmi:",idempotent"`
		Sum        func(a, b int) (int, error)                            `rmi:"add"`
	}
	if err := rmi.Bind(objects, "greeting", &greeting); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(greeting.GetFortune(context.Background(), "letian"))
	fmt.Println(greeting.Sum(3, 4))
	// Output:
	// Hello, letian. <nil>
	// 7 <nil>
}

var errSoldOut = errors.New("sold out")

// OutOfStock says what is missing.
type OutOfStock struct {
	SKU  string
	Left int
}

func (e *OutOfStock) Error() string { return fmt.Sprintf("%d of %s left", e.Left, e.SKU) }

// Both sides give an error the same name; errors.Is and errors.AsType then work
// across.
func ExampleErrors() {
	known, err := rmi.NewErrors(
		rmi.Sentinel("shop.ErrSoldOut", errSoldOut),
		rmi.ErrorType[*OutOfStock]("shop.OutOfStock"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	objects := rmi.NewObjects(rmi.ObjectsOptions{Errors: known})
	buy := func(sku string) error {
		return fmt.Errorf("buy %s: %w", sku, errors.Join(errSoldOut, &OutOfStock{SKU: sku, Left: 1}))
	}
	if err := objects.ExportFunc("buy", buy, rmi.ExportOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	h := rmi.Chain(objects, known.Restore)
	_, err = rmi.Invoke(context.Background(), h, "buy", "", "socks")
	missing, _ := errors.AsType[*OutOfStock](err)
	fmt.Println(errors.Is(err, errSoldOut), missing.SKU, missing.Left)
	// Output:
	// true socks 1
}

// Describe tells what an object can do.
func ExampleObjects_Interface() {
	objects := rmi.NewObjects(rmi.ObjectsOptions{})
	if err := objects.Export(rmi.NodeObject, rmi.NewNodeObject(objects, rmi.NodeInfo{}), rmi.ExportOptions{
		Methods: []string{"describe", "list", "ping"},
	}); err != nil {
		fmt.Println(err)
		return
	}
	info, _ := objects.Interface(rmi.NodeObject)
	for _, m := range info.Methods[1:] {
		fmt.Printf("%s: %s\n", m.Signature(), m.Doc)
	}
	// Output:
	// list() -> list<{name: string, kind: string, mode: string, state: string, methods: int, doc: string, digest: string}>: Lists the objects and functions that the node exports.
	// ping() -> string: Answers "pong".
}
