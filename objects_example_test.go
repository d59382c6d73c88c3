package farcall_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// The examples of docs/objects.md that no program in examples/ shows.

// mustJoin joins a mesh of this process, and ends the program when it cannot.
func mustJoin(store *naming.Memory, opts farcall.Options) *farcall.Mesh {
	opts.Registry = store.Registry()
	mesh, err := farcall.Join(context.Background(), opts)
	if err != nil {
		log.Fatal(err)
	}
	return mesh
}

// mustServe serves v as name, and ends the program when it cannot.
func mustServe(mesh *farcall.Mesh, name naming.Name, v any) {
	if err := mesh.Register(context.Background(), name, v, farcall.RegisterOptions{}); err != nil {
		log.Fatal(err)
	}
}

// Bank has accounts.
type Bank struct{}

// Account is an object that is not named. It has nothing that could travel as a
// value, and so it travels by reference.
type Account struct {
	owner   string
	balance int
}

// Open opens an account.
func (*Bank) Open(owner string) *Account { return &Account{owner: owner, balance: 100} }

// Balance returns what is in it.
func (a *Account) Balance() int { return a.balance }

// Owner returns whose it is.
func (a *Account) Owner() string { return a.owner }

// Auditor looks at accounts of others.
type Auditor struct{}

// AuditedAccount is what the auditor needs of an account.
type AuditedAccount struct {
	Balance func(ctx context.Context) (int, error)
}

// Audit calls the account, wherever it is.
func (*Auditor) Audit(ctx context.Context, a AuditedAccount) (string, error) {
	balance, err := a.Balance(ctx)
	return fmt.Sprintf("%d, as it should be", balance), err
}

// An object that a method returns is called where it is, and passed on to a third
// node, which calls it there.
func Example_references() {
	ctx, store := context.Background(), naming.NewMemory()
	bank := mustJoin(store, farcall.Options{Listen: "127.0.0.1:0"})
	defer bank.Shutdown(ctx)
	mustServe(bank, "bank", &Bank{})
	auditor := mustJoin(store, farcall.Options{Listen: "127.0.0.1:0"})
	defer auditor.Shutdown(ctx)
	mustServe(auditor, "auditor", &Auditor{})
	client := mustJoin(store, farcall.Options{})
	defer client.Shutdown(ctx)

	account, err := farcall.Call[*rmi.Ref](ctx, client, "bank", "open", "ann")
	if err != nil {
		log.Fatal(err)
	}
	defer account.Release()
	fmt.Println(account.Invoke(ctx, "balance"))
	fmt.Println(farcall.Call[string](ctx, client, "auditor", "audit", account))
	// Output:
	// 100 <nil>
	// 100, as it should be <nil>
}

// A call may build on the result of one that has not come back yet.
func Example_pipelining() {
	ctx, store := context.Background(), naming.NewMemory()
	bank := mustJoin(store, farcall.Options{Listen: "127.0.0.1:0"})
	defer bank.Shutdown(ctx)
	mustServe(bank, "bank", &Bank{})
	client := mustJoin(store, farcall.Options{})
	defer client.Shutdown(ctx)

	account := rmi.Start(ctx, client.Handler(), "bank", "open", "ann")
	defer account.Release()
	owner, err := account.Invoke(ctx, "owner") // one round trip for both
	fmt.Println(owner, err)
	// Output: ann <nil>
}

// Visits counts for each session.
type Visits struct{}

// visitsKey is the key of a count in a session.
type visitsKey struct{}

// Visit shows what a method can know of its call, and what it can say besides its
// result.
func (*Visits) Visit(ctx context.Context) (string, error) {
	call, _ := rmi.CallFrom(ctx)
	session := rmi.SessionFrom(ctx) // nil for callers by XML-RPC and JSON
	n, _ := session.Value(visitsKey{}).(int)
	if err := session.SetValue(visitsKey{}, n+1); err != nil {
		return "", err
	}
	if err := rmi.SetReplyMetadata(ctx, rmi.Metadata{"served-by": "visits-1"}); err != nil {
		return "", err
	}
	return fmt.Sprintf("visit %d of %s, tenant %s, correlation %s",
		n+1, call.Peer.Node, call.Metadata["tenant"], call.Correlation()), nil
}

// Words go both ways with a call, and a session keeps values.
func Example_context() {
	ctx, store := context.Background(), naming.NewMemory()
	server := mustJoin(store, farcall.Options{Listen: "127.0.0.1:0"})
	defer server.Shutdown(ctx)
	mustServe(server, "visits", &Visits{})
	client := mustJoin(store, farcall.Options{Node: "ann"})
	defer client.Shutdown(ctx)

	var back rmi.Metadata
	ctx = rmi.WithMetadata(ctx, rmi.Metadata{"tenant": "acme"})
	ctx = rmi.WithCorrelation(ctx, "job-17")
	ctx = rmi.WithReplyMetadata(ctx, &back)
	for range 2 {
		fmt.Println(farcall.Call[string](ctx, client, "visits", "visit"))
	}
	fmt.Println(back["served-by"])
	// Output:
	// visit 1 of ann, tenant acme, correlation job-17 <nil>
	// visit 2 of ann, tenant acme, correlation job-17 <nil>
	// visits-1
}

// An interceptor is the same on either side: a function from a Handler to a
// Handler.
func Example_interceptor() {
	ctx, store := context.Background(), naming.NewMemory()
	logged := func(side string) rmi.Middleware {
		return func(next rmi.Handler) rmi.Handler {
			return rmi.HandlerFunc(func(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
				reply, err := next.Handle(ctx, call)
				if call.Object == "greeting" {
					fmt.Println(side, call.Method, err)
				}
				return reply, err
			})
		}
	}
	server := mustJoin(store, farcall.Options{Listen: "127.0.0.1:0", ServeWith: []rmi.Middleware{logged("server:")}})
	defer server.Shutdown(ctx)
	mustServe(server, "greeting", Greeter{})
	client := mustJoin(store, farcall.Options{CallWith: []rmi.Middleware{logged("client:")}})
	defer client.Shutdown(ctx)

	fmt.Println(farcall.Call[string](ctx, client, "greeting", "get_fortune", "letian"))
	// Output:
	// server: get_fortune <nil>
	// client: get_fortune <nil>
	// Hello, letian. <nil>
}

// errClosed is a sentinel that both sides share.
var errClosed = errors.New("the shop is closed")

// An error arrives as what it was, and says what became of the call.
func Example_errors() {
	ctx, store := context.Background(), naming.NewMemory()
	known, err := rmi.NewErrors(rmi.Sentinel("shop.ErrClosed", errClosed))
	if err != nil {
		log.Fatal(err)
	}
	server := mustJoin(store, farcall.Options{Listen: "127.0.0.1:0", Errors: known})
	defer server.Shutdown(ctx)
	buy := func(item string) error { return fmt.Errorf("buy %s: %w", item, errClosed) }
	if err := server.RegisterFunc(ctx, "buy", buy, farcall.RegisterOptions{}); err != nil {
		log.Fatal(err)
	}
	client := mustJoin(store, farcall.Options{Errors: known})
	defer client.Shutdown(ctx)

	_, err = client.Invoke(ctx, "buy", "", "socks")
	e, _ := errors.AsType[*rmi.Error](err)
	fmt.Println(errors.Is(err, errClosed), e.Code, e.Type, e.Execution == rmi.NotExecuted)
	// Output: true UNKNOWN *fmt.wrapError false
}

// A stub says in tags how its methods are called.
func Example_ways() {
	ctx, store := context.Background(), naming.NewMemory()
	server := mustJoin(store, farcall.Options{Listen: "127.0.0.1:0"})
	defer server.Shutdown(ctx)
	mustServe(server, "greeting", Greeter{})

	var greeting struct {
		GetFortune func(ctx context.Context, name string) (string, error) `rmi:",idempotent"`
		Send       func(ctx context.Context, name string) error           `rmi:"get_fortune,oneway"`
		Submit     func(ctx context.Context, name string) error           `rmi:"get_fortune,taken"`
	}
	if err := server.Bind("greeting", &greeting); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second) // travels with the call
	defer cancel()
	fmt.Println(greeting.GetFortune(ctx, "letian"))
	fmt.Println(greeting.Send(ctx, "letian"), greeting.Submit(ctx, "letian"))
	// Output:
	// Hello, letian. <nil>
	// <nil> <nil>
}
