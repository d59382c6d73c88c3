package naming_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"farcall.dev/naming"
)

// Two processes serve one name, and a third finds them.
func Example() {
	ctx := context.Background()
	store := naming.NewMemory()
	for _, node := range []naming.NodeID{"node-1", "node-2"} {
		reg := store.Registry() // each process has its own
		defer reg.Close(ctx)
		if err := reg.Register(ctx, naming.Instance{
			Name: "greeting", Node: node,
			Addrs: map[naming.Protocol]string{naming.ProtocolMesh: "127.0.0.1:7500"},
		}); err != nil {
			log.Fatal(err)
		}
	}

	reg := store.Registry()
	defer reg.Close(ctx)
	cache := naming.NewCache(reg, naming.CacheOptions{})
	defer cache.Close()
	entry, err := cache.Resolve(ctx, "greeting")
	if err != nil {
		log.Fatal(err)
	}
	for _, inst := range entry.Callable() {
		fmt.Println(inst.Name, "is on", inst.Node)
	}

	_, err = cache.Resolve(ctx, "greting")
	fmt.Println(err)
	// Output:
	// greeting is on node-1
	// greeting is on node-2
	// nothing named "greting" is registered; did you mean "greeting"?
}

// One process owns a name, another waits to take over.
func ExampleMode() {
	ctx := context.Background()
	store := naming.NewMemory()
	owner, waiting := store.Registry(), store.Registry()
	defer waiting.Close(ctx)
	inst := naming.Instance{Name: "scheduler", Node: "node-1", Mode: naming.ModeExclusive}
	if err := owner.Register(ctx, inst); err != nil {
		log.Fatal(err)
	}

	inst.Node = "node-2"
	err := waiting.Register(ctx, inst)
	fmt.Println(errors.Is(err, naming.ErrTaken), err)

	inst.Mode = naming.ModeStandby
	if err := waiting.Register(ctx, inst); err != nil {
		log.Fatal(err)
	}
	if err := owner.Close(ctx); err != nil {
		log.Fatal(err)
	}
	cache := naming.NewCache(waiting, naming.CacheOptions{})
	defer cache.Close()
	entry, err := cache.Wait(ctx, "scheduler")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("now on", entry.Callable()[0].Node)
	// Output:
	// true register "scheduler": the name "scheduler" is taken by node "node-1"
	// now on node-2
}

// Changes yields what there is, and then what becomes of it.
func ExampleCache_Changes() {
	ctx := context.Background()
	reg := naming.NewMemory().Registry()
	defer reg.Close(ctx)
	cache := naming.NewCache(reg, naming.CacheOptions{})
	defer cache.Close()
	if err := reg.Register(ctx, naming.Instance{Name: "shop.cart", Node: "node-1"}); err != nil {
		log.Fatal(err)
	}

	for change := range cache.Changes(ctx, "shop.") {
		if change.New == nil {
			fmt.Println(change.Name, "is gone")
			break
		}
		fmt.Println(change.Name, "has", len(change.New.Instances), "instance")
		if err := reg.Unregister(ctx, change.Name); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// shop.cart has 1 instance
	// shop.cart is gone
}
