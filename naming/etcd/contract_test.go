package etcd

import (
	"testing"

	"farcall.dev/naming"
	"farcall.dev/naming/namingtest"
)

func TestContract(t *testing.T) {
	namingtest.Run(t, func(t *testing.T) namingtest.Harness {
		w := newWorld(t)
		return namingtest.Harness{
			Open:         func(testing.TB, naming.NodeID) naming.Registry { return w.open() },
			ExpireLease:  func(_ testing.TB, reg naming.Registry) { w.revoke(reg) },
			DeleteRecord: func(_ testing.TB, k naming.Key) { w.delete(w.keys.key(instances, k.Name, k.Node)) },
			Compact:      func(testing.TB) { w.compact() },
			BeginOutage:  func(testing.TB) { w.proxy.cut() },
			EndOutage:    func(t testing.TB) { w.proxy.mend(t) },
		}
	})
}
