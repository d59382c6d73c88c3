// Command chat is a room in which clients that nobody can connect to hear what
// the others say: each passes the room a function, and the room calls it back
// over the client's own connection. Whose process ends loses its seat.
//
//	go run ./examples/chat
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"sync"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// Hear is a member's function, which the room calls.
type Hear func(ctx context.Context, from, text string) error

// Room is where members meet.
type Room struct {
	mu    sync.Mutex
	seats []*Seat // guarded by mu
}

// Enter gives a member a seat. A Seat has nothing that could travel as a value,
// and so the member gets a reference to it.
func (r *Room) Enter(name string, hear Hear) *Seat {
	s := &Seat{room: r, name: name, hear: hear}
	r.mu.Lock()
	r.seats = append(r.seats, s)
	r.mu.Unlock()
	return s
}

// Seat is a member's place in a room. It is kept as long as the member holds it.
type Seat struct {
	room *Room
	name string
	hear Hear
}

// Say tells everybody, and returns when all have heard it: the member who says it
// is called back while this call is under way.
func (s *Seat) Say(ctx context.Context, text string) error {
	return s.room.tell(ctx, s.name, text)
}

// Unreferenced is called when the member has given its seat up, has ended, or was
// cut off for longer than the lease. Callers cannot call it.
func (s *Seat) Unreferenced() {
	r := s.room
	r.mu.Lock()
	r.seats = slices.DeleteFunc(r.seats, func(other *Seat) bool { return other == s })
	r.mu.Unlock()
	if err := r.tell(context.Background(), "room", s.name+" has gone"); err != nil {
		log.Print(err)
	}
}

// tell calls every member back, with no lock held.
func (r *Room) tell(ctx context.Context, from, text string) error {
	r.mu.Lock()
	seats := slices.Clone(r.seats)
	r.mu.Unlock()
	var errs []error
	for _, s := range seats {
		if err := s.hear(ctx, from, text); err != nil {
			errs = append(errs, fmt.Errorf("tell %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

// seat is what a member sees of its Seat. It is a reference, bound to funcs.
type seat struct {
	Ref *rmi.Ref
	Say func(ctx context.Context, text string) error
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run runs the whole mesh in this process; each Join could be in one of its own.
func run(ctx context.Context, out io.Writer) error {
	store := naming.NewMemory()
	server, err := farcall.Join(ctx, farcall.Options{
		Registry: store.Registry(), Listen: "127.0.0.1:0",
		ReferenceLease: 500 * time.Millisecond, // the default is a minute
	})
	if err != nil {
		return err
	}
	defer server.Shutdown(ctx)
	if err := server.Register(ctx, "room", new(Room), farcall.RegisterOptions{}); err != nil {
		return err
	}

	news := make(chan string, 16)
	enter := func(name string) (*farcall.Mesh, seat, error) {
		// Without Listen a process has no port, and is called back all the same.
		mesh, err := farcall.Join(ctx, farcall.Options{Registry: store.Registry()})
		if err != nil {
			return nil, seat{}, err
		}
		hear := func(ctx context.Context, from, text string) error {
			fmt.Fprintf(out, "%s hears %s: %s\n", name, from, text)
			if from == "room" {
				news <- text
			}
			return nil
		}
		s, err := farcall.Call[seat](ctx, mesh, "room", "enter", name, hear)
		if err != nil {
			return nil, s, errors.Join(err, mesh.Close())
		}
		return mesh, s, nil
	}
	meshes, seats := make(map[string]*farcall.Mesh), make(map[string]seat)
	for _, name := range []string{"ann", "bob", "carl"} {
		if meshes[name], seats[name], err = enter(name); err != nil {
			return err
		}
		defer meshes[name].Shutdown(ctx)
	}

	if err := seats["ann"].Say(ctx, "hello"); err != nil {
		return err
	}
	seats["carl"].Ref.Release() // carl gives his seat up
	<-news
	<-news
	if err := seats["bob"].Say(ctx, "I must"); err != nil {
		return err
	}
	meshes["bob"].Close() // and bob's process ends
	<-news
	return seats["ann"].Say(ctx, "anybody?")
}
