package naming_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"farcall.dev/naming"
	"farcall.dev/naming/namingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryContract(t *testing.T) {
	namingtest.Run(t, func(t *testing.T) namingtest.Harness {
		store := naming.NewMemory()
		return namingtest.Harness{
			Open: func(testing.TB, naming.NodeID) naming.Registry { return store.Registry() },
			ExpireLease: func(_ testing.TB, reg naming.Registry) {
				reg.(*naming.MemoryRegistry).Expire()
			},
			DeleteRecord: func(_ testing.TB, key naming.Key) { store.Delete(key) },
			Compact:      func(testing.TB) { store.Compact() },
			BeginOutage:  func(testing.TB) { store.SetOutage(errors.New("out of reach for a test")) },
			EndOutage:    func(testing.TB) { store.SetOutage(nil) },
		}
	})
}
