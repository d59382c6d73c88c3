package main

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// OutOfStock says that there is not enough of something.
type OutOfStock struct {
	Item string
	Left int
}

func (e *OutOfStock) Error() string { return fmt.Sprintf("only %d of %s left", e.Left, e.Item) }

// Cart is one customer's. It is a sync.Locker, and so it is locked while one of
// its properties is read or written, too.
type Cart struct {
	sync.Mutex
	Note string
	n    int // items

	orders *atomic.Int64 // of the whole shop
	line   *line
	closed chan<- string
}

// Add puts n of an item into the cart, and returns how much is in it.
func (c *Cart) Add(item string, n int) (int, error) {
	const left = 5
	if n > left {
		return 0, fmt.Errorf("add %d of %s: %w", n, item, &OutOfStock{Item: item, Left: left})
	}
	c.Lock()
	defer c.Unlock()
	c.n += n
	return c.n, nil
}

// Items returns how much is in the cart.
func (c *Cart) Items() int {
	c.Lock()
	defer c.Unlock()
	return c.n
}

// Order orders what is in the cart. Doing it twice would be wrong.
func (c *Cart) Order() string {
	number := c.orders.Add(1)
	c.line.cut() // so that the answer does not arrive
	return fmt.Sprintf("order %d: %d items", number, c.Items())
}

// Close is called when the session has ended.
func (c *Cart) Close() { c.closed <- fmt.Sprintf("closed a cart with %d items", c.Items()) }
