package gateway

import (
	"log/slog"
	"time"

	"farcall.dev/rmi"
)

// Doors says which doors a [Gateway] has.
type Doors uint8

const (
	// AllDoors are XML-RPC and JSON; it is the default.
	AllDoors Doors = iota
	// XMLRPCDoor is /RPC2 alone.
	XMLRPCDoor
	// JSONDoor is what is below /v1/ alone.
	JSONDoor
	// NoDoors answers everything by 404.
	NoDoors
)

// The defaults of [Options].
const (
	DefaultMaxTimeout  = 5 * time.Minute
	DefaultMaxBody     = 16 << 20
	DefaultMaxResponse = 16 << 20
	DefaultMaxRequests = 1024
	DefaultMaxBatch    = 1000
)

// Options are the limits and habits of a [Gateway]. The zero value is good.
type Options struct {
	// Doors says which doors there are.
	Doors Doors
	// Timeout bounds a request that asks for no other time. Default
	// rmi.DefaultTimeout. MaxTimeout bounds what a request may ask for; more is
	// refused. Default 5 min.
	Timeout, MaxTimeout time.Duration
	// MaxBody bounds the body of a request, in bytes, as it came and, for
	// XML-RPC, when it is inflated; a larger one is refused by status 413.
	// Default 16 MiB. MaxResponse bounds what is sent back, in bytes; a larger
	// result becomes RESOURCE_EXHAUSTED. Default 16 MiB.
	MaxBody, MaxResponse int
	// MaxRequests bounds the requests that are served at a time at each door;
	// one more is refused by status 503. Default 1024.
	MaxRequests int
	// MaxBatch bounds the calls of one system.multicall. Default 1000.
	MaxBatch int
	// Origins are web origins, such as "https://console.example", whose pages
	// may send requests from a browser. Those of other pages are refused by
	// status 403, unless they come from the gateway's own origin. Programs that
	// are no browsers are not concerned.
	Origins []string
	// Title heads the documentation that is generated. Default "Farcall".
	Title string
	// Version is told in the OpenAPI document. Default "0".
	Version string
	// Logger gets what no caller can see. Nil discards it.
	Logger *slog.Logger
}

// withDefaults returns o with what is zero filled in.
func (o Options) withDefaults() Options {
	setDefault(&o.Timeout, rmi.DefaultTimeout)
	setDefault(&o.MaxTimeout, DefaultMaxTimeout)
	setDefault(&o.MaxBody, DefaultMaxBody)
	setDefault(&o.MaxResponse, DefaultMaxResponse)
	setDefault(&o.MaxRequests, DefaultMaxRequests)
	setDefault(&o.MaxBatch, DefaultMaxBatch)
	setDefault(&o.Title, "Farcall")
	setDefault(&o.Version, "0")
	o.MaxTimeout = max(o.MaxTimeout, o.Timeout)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// setDefault sets *p to def when it is zero.
func setDefault[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
