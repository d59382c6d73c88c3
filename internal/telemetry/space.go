package telemetry

import (
	"farcall.dev/rmi"
)

// AddSpace adds what a process shares with others beyond single calls: what an
// [rmi.Space]'s Stats returns.
func (m *Metrics) AddSpace(fetch func() rmi.SpaceStats) {
	addSource(m, fetch,
		one("farcall_rmi_sessions", typeGauge,
			"Peers with whom a session has not ended, connected or within the lease.",
			func(s rmi.SpaceStats) float64 { return float64(s.Sessions) }),
		one("farcall_rmi_exported_references", typeGauge,
			"Objects without a name that others can call.",
			func(s rmi.SpaceStats) float64 { return float64(s.Exported) }),
		one("farcall_rmi_waiting_references", typeGauge,
			"Of the exported references, those that were given away and that nobody has taken yet.",
			func(s rmi.SpaceStats) float64 { return float64(s.Waiting) }),
		one("farcall_rmi_held_references", typeGauge,
			"References to other processes' objects that are in use here.",
			func(s rmi.SpaceStats) float64 { return float64(s.Held) }),
		one("farcall_rmi_recorded_calls", typeGauge,
			"Calls of others that run here or whose answers are kept, in case they come again.",
			func(s rmi.SpaceStats) float64 { return float64(s.Records) }),
		one("farcall_rmi_recorded_bytes", typeGauge,
			"Bytes of the answers that are kept in case their calls come again.",
			func(s rmi.SpaceStats) float64 { return float64(s.RecordedBytes) }),
	)
}
