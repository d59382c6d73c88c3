package xmlrpc_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"farcall.dev/xmlrpc"
)

type greeting struct{}

func (greeting) GetFortune(name string) string { return "Hello, " + name + "." }

// A Handler is mounted like any other: http.Handle("/RPC2", h).
func Example() {
	h, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := h.Func("add", func(x, y int) int { return x + y }, "Adds two numbers."); err != nil {
		fmt.Println(err)
		return
	}
	if err := h.Object("greeting", greeting{}, xmlrpc.ObjectOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(h)
	defer server.Close()

	c, err := xmlrpc.NewClient(server.URL, xmlrpc.ClientOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()

	var sum int
	fmt.Println(c.Call(ctx, "add", &sum, 3, 4), sum)

	var fortune string
	fmt.Println(c.Object("greeting").Call(ctx, "get_fortune", &fortune, "letian"), fortune)

	fmt.Println(c.Call(ctx, "add", &sum, 3))
	// Output:
	// <nil> 7
	// <nil> Hello, letian.
	// xmlrpc: fault -32602: takes 2 arguments, got 1
}

// Several calls travel in one request, and each has a result or an error of its own.
func ExampleClient_Multicall() {
	h, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := h.Func("add", func(x, y int) int { return x + y }); err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(h)
	defer server.Close()
	c, err := xmlrpc.NewClient(server.URL, xmlrpc.ClientOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	var a, b int
	calls := []*xmlrpc.BatchCall{
		{Method: "add", Args: []any{1, 2}, Result: &a},
		{Method: "subtract", Args: []any{2, 1}},
		{Method: "add", Args: []any{3, 4}, Result: &b},
	}
	if err := c.Multicall(context.Background(), calls...); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a, calls[1].Err, b)
	// Output:
	// 3 xmlrpc: fault -32601: no such method: "subtract" 7
}
