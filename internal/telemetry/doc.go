// Package telemetry turns what Farcall does into Prometheus metrics. It is the
// only package that knows Prometheus: the others count in their own Stats, or
// let themselves be wrapped in an [rmi.Middleware].
//
// [New] makes a registry of its own, so that several nodes in one process do
// not meet in a global one. Calls are counted as they pass, by [Metrics.Server]
// and [Metrics.Client]; everything else is asked for when somebody scrapes, by
// the Add methods, so that nothing runs between two scrapes.
//
// # Names that strangers choose
//
// A caller can send any object and method name, and every new label value costs
// memory here and in Prometheus for weeks. So a name becomes a label only when
// the Known function vouches for it and as long as fewer than
// [Options.MaxCalls] pairs of object and method are counted by themselves;
// everything else is counted under [Other]. Objects that are called by reference
// are all counted under [Nameless].
//
// The names follow farcall_<package>_<noun>_<unit>[_total]; every metric is
// described in docs/metrics.md, which is generated from here.
package telemetry
