package daemonconf

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"farcall.dev/internal/builtin"
	"farcall.dev/naming"
)

const (
	// MaxSize is the largest configuration, in bytes.
	MaxSize = 1 << 20
	// MaxEntries is the largest number of objects and functions together.
	MaxEntries = 10_000
)

// Example is a configuration that shows every key.
const Example = `objects:
  - name: shop.greeter         # what others call it
    type: greeting             # what it is: counter, echo or greeting
    options: {greeting: Moin}  # of this type; the other types have none
    mode: shared               # any number of instances; or exclusive: one
                               # owner; or standby: wait until the owner leaves
    tags: [blue, eu]           # added to the daemon's own
    weight: 100                # share of the calls, 1 to 10000
    version: 1.4.2             # free text
    methods: [get_fortune]     # expose only these; all when left out
functions:
  - name: sum
    function: add              # what it is: add or echo
    tags: [blue]               # mode, weight and version as above
attach:                        # servers that know nothing of a mesh
  - name: legacy               # mode, tags, weight and version as above
    url: xmlrpc+http://127.0.0.1:8080/RPC2
    methods: [pow, sample.add] # what it lists itself when left out
    dialect: standard          # or plain or apache: extensions that it reads
    timeout: 10s               # of a call whose caller waits for ever
    health:                    # the name is taken out when it does not answer
      method: system.listMethods # what to call; any answer will do
      interval: 5s
      timeout: 2s
      failures: 2              # looks in a row that must fail to take it out
      successes: 1             # and that must succeed to put it back
`

// Config is what a daemon hosts.
type Config struct {
	// Entries holds its objects and functions, in the order of the file,
	// objects first. No name occurs twice, in Attach neither.
	Entries []Entry
	// Attach are the servers that it makes part of the mesh.
	Attach []Attachment
}

// Attachment is a server elsewhere and how to attach it. Zero values leave things
// to the defaults.
type Attachment struct {
	// Name is what to register it under.
	Name naming.Name
	// URL is where it is, such as xmlrpc+http://127.0.0.1:8080/RPC2.
	URL string
	// Methods are the methods to expose; empty means those that it lists.
	Methods []string
	// Dialect is standard, plain or apache.
	Dialect string
	// Timeout bounds a call.
	Timeout time.Duration
	// Mode, Tags, Weight and Version are as in Entry.
	Mode    naming.Mode
	Tags    []string
	Weight  int
	Version string
	// Health says how it is watched.
	Health Health
}

// Health says how a server is watched.
type Health struct {
	// Method is what is called to see whether it is there.
	Method string
	// Interval is the time between two looks, Timeout that of each.
	Interval, Timeout time.Duration
	// Failures and Successes are how many looks in a row change something.
	Failures, Successes int
}

// Entry is one object or function and how to register it.
type Entry struct {
	// Name is what to register it under.
	Name naming.Name
	// Word is what the configuration calls it: an object's type, or a function.
	Word string
	// Thing is the object or function itself.
	Thing builtin.Thing
	// Mode, Tags, Weight and Version are as in naming.Instance; their zero
	// values leave them to the daemon's own settings.
	Mode    naming.Mode
	Tags    []string
	Weight  int
	Version string
	// Methods lists the methods to expose; empty means all.
	Methods []string
}

// Default returns what a daemon hosts that has no configuration.
func Default() Config {
	var c Config
	for name, thing := range builtin.Default() {
		c.Entries = append(c.Entries, Entry{Name: name, Word: string(name), Thing: thing})
	}
	// Objects first, as from a file.
	slices.SortFunc(c.Entries, func(a, b Entry) int {
		return cmp.Or(-cmp.Compare(a.Thing.Kind, b.Thing.Kind), cmp.Compare(a.Name, b.Name))
	})
	return c
}

// Load reads the file at path. A file that holds something wrong yields an
// [*Error].
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(data, path)
}

// Parse reads a configuration; source names it in errors. A configuration that
// holds something wrong yields an [*Error].
func Parse(data []byte, source string) (Config, error) {
	if len(data) > MaxSize {
		return Config{}, &Error{Source: source, Problems: []Problem{{Text: fmt.Sprintf("it is larger than %d bytes", MaxSize)}}}
	}
	p := &parser{}
	cfg := p.document(data)
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return Config{}, &Error{Source: source, Problems: p.problems}
	}
	return cfg, nil
}
