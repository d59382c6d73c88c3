// Package wrong has what no client can be written for.
package wrong

import (
	"context"
	"sync"

	"farcall.dev/internal/gen/source/testdata/shop"
)

// Bad has one fault a method.
type Bad interface {
	Ok(ctx context.Context, x int) (int, error)
	Channel(x int, c chan<- bool)
	Late(x int, ctx context.Context)
	Early() (error, int)
	Deep() (a int, r []Report)
	Unknown(x Missing)
	FarcallThing()
	URLs()
	Urls()
	//farcall:onewya
	Typo()
	//farcall:oneway
	Answer() int
	Borrowed
}

// Borrowed is part of Bad.
type Borrowed interface{ Take(f complex64) }

// Report cannot travel.
type Report struct{ Lines []complex128 }

// Locked can be locked by anybody.
type Locked struct{ sync.Mutex }

// Generic has parameters.
type Generic[T any] interface{ Get() T }

// Empty has no methods.
type Empty struct{ X int }

// Number is no type with methods.
type Number = int

// hidden is not exported.
type hidden interface{ Get(shop.Item) }

// Taken has a name taken.
type Taken interface{ Get() int }

// NewTakenClient is in the way.
func NewTakenClient() {}

// Opaque takes what other packages cannot name.
type Opaque interface{ Get(*secret) }

type secret struct{ X int }
