// Package namingtest is the contract that every [naming.Registry] must pass.
//
// The test of an implementation hands [Run] a [Factory] that makes empty stores
// and opens registries on them:
//
//	func TestContract(t *testing.T) {
//		namingtest.Run(t, func(t *testing.T) namingtest.Harness {
//			store := naming.NewMemory()
//			return namingtest.Harness{
//				Open: func(testing.TB, naming.NodeID) naming.Registry { return store.Registry() },
//				…
//			}
//		})
//	}
//
// The suite waits for conditions and never for a length of time, so it is as
// fast as the store is, and as patient as [Harness.Patience] allows.
package namingtest
