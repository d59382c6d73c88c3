package namingtest

import (
	"slices"
	"testing"
	"time"

	"farcall.dev/naming"
)

// Fault names something that can go wrong with a store, and that a [Harness]
// can bring about.
type Fault string

const (
	// FaultLease is the loss of a process's lease: [Harness.ExpireLease].
	FaultLease Fault = "lease"
	// FaultDelete is the removal of a record by hand: [Harness.DeleteRecord].
	FaultDelete Fault = "delete"
	// FaultCompact is the loss of history: [Harness.Compact].
	FaultCompact Fault = "compact"
	// FaultOutage is a store out of reach: [Harness.BeginOutage] and
	// [Harness.EndOutage].
	FaultOutage Fault = "outage"
)

// Harness is one empty store and what the suite may do to it. A fault whose
// functions are nil must be listed in Lacks, otherwise the tests that need it
// fail.
type Harness struct {
	// Open returns the Registry of one more process on the store. The suite
	// calls it from the test's goroutine, registers under node only, and closes
	// what it opened. Two processes may be given one node. Required.
	Open func(t testing.TB, node naming.NodeID) naming.Registry

	// ExpireLease ends the lease under which reg, one that Open returned, has
	// its records, as if the process had been silent for too long. The records
	// are gone from the store when it returns, unless reg has already published
	// them again.
	ExpireLease func(t testing.TB, reg naming.Registry)
	// DeleteRecord deletes one record from the store, whoever's it is.
	DeleteRecord func(t testing.TB, key naming.Key)
	// Compact makes the store forget how it came to its present state: every
	// revision below the present one can no longer be resumed from.
	Compact func(t testing.TB)
	// BeginOutage puts the store out of reach of every process, and EndOutage
	// brings it back as it was. Whether leases run out meanwhile is the
	// harness's choice. The suite ends each outage that it began, and closes
	// what Open returned only after that.
	BeginOutage func(t testing.TB)
	EndOutage   func(t testing.TB)

	// Lacks lists the faults that this harness cannot bring about. Their tests
	// are left out.
	Lacks []Fault

	// Patience bounds how long the suite waits for any one condition; zero
	// means 15 s. Failing tests take that long, passing ones do not. A process
	// that closes in an outage leaves records until its lease ends, so leases
	// must be shorter.
	Patience time.Duration
}

// Factory makes a Harness over an empty store. It is called once for each test
// of the suite, and uses t.Cleanup for what must be undone.
type Factory func(t *testing.T) Harness

// Run runs the contract as subtests of t, one at a time, each on a store of its
// own.
func Run(t *testing.T, factory Factory) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Register", registerTests()},
		{"Mode", modeTests()},
		{"Drain", drainTests()},
		{"Watch", watchTests()},
		{"Close", closeTests()},
		{"Fault", faultTests()},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, tt := range group.tests {
				t.Run(tt.name, func(t *testing.T) { runOne(t, factory, tt) })
			}
		})
	}
}

// test is one sentence of the contract.
type test struct {
	name  string
	needs []Fault
	run   func(s *suite)
}

// suite is what one test works with: the harness, and the processes and watches
// that the test opened, which end with it.
type suite struct {
	*testing.T
	h Harness
}

func runOne(t *testing.T, factory Factory, tt test) {
	h := factory(t)
	if h.Open == nil {
		t.Fatal("Harness.Open is nil")
	}
	if h.Patience <= 0 {
		h.Patience = 15 * time.Second
	}
	for _, f := range tt.needs {
		has, lacks := h.has(f), slices.Contains(h.Lacks, f)
		switch {
		case has && lacks:
			t.Fatalf("the harness has the fault %q and lists it in Lacks", f)
		case lacks:
			t.Skipf("the harness says that it cannot bring about the fault %q", f)
		case !has:
			t.Fatalf("the harness cannot bring about the fault %q, and does not list it in Lacks", f)
		}
	}
	tt.run(&suite{T: t, h: h})
}

// has reports whether h can bring about f.
func (h Harness) has(f Fault) bool {
	switch f {
	case FaultLease:
		return h.ExpireLease != nil
	case FaultDelete:
		return h.DeleteRecord != nil
	case FaultCompact:
		return h.Compact != nil
	case FaultOutage:
		return h.BeginOutage != nil && h.EndOutage != nil
	default:
		return false
	}
}
