package telemetry

import (
	"farcall.dev/rmi"
	"farcall.dev/transport"
)

// AddConns adds what went over the connections to other processes: what an
// [rmi.Tally]'s Stats returns.
func (m *Metrics) AddConns(fetch func() rmi.TallyStats) {
	addSource(m, fetch,
		one("farcall_transport_sessions_open", typeGauge,
			"Sessions with other processes that are open, by whomever they were opened.",
			func(s rmi.TallyStats) float64 { return float64(s.Open) }),
		one("farcall_transport_sessions_established_total", typeCounter,
			"Sessions with other processes that were established.",
			func(s rmi.TallyStats) float64 { return float64(s.Opened) }),
		one("farcall_transport_dials_total", typeCounter,
			"Attempts to connect to another process.",
			func(s rmi.TallyStats) float64 { return float64(s.Dials) }),
		one("farcall_transport_dial_failures_total", typeCounter,
			"Attempts to connect to another process that failed, be it in the handshake.",
			func(s rmi.TallyStats) float64 { return float64(s.DialFailures) }),
		one("farcall_transport_sent_bytes_total", typeCounter,
			"Bytes written to sessions' connections, with all framing, without TLS.",
			func(s rmi.TallyStats) float64 { return float64(s.Session.BytesSent) }),
		one("farcall_transport_received_bytes_total", typeCounter,
			"Bytes read from sessions' connections, with all framing, without TLS.",
			func(s rmi.TallyStats) float64 { return float64(s.Session.BytesReceived) }),
		one("farcall_transport_writes_total", typeCounter,
			"Writes to sessions' connections; sent bytes over writes is the mean size of one.",
			func(s rmi.TallyStats) float64 { return float64(s.Session.Writes) }),
		one("farcall_transport_streams_open", typeGauge,
			"Streams that are open on all sessions.",
			func(s rmi.TallyStats) float64 { return float64(s.Session.StreamsOpen) }),
		one("farcall_transport_streams_opened_total", typeCounter,
			"Streams that either side opened.",
			func(s rmi.TallyStats) float64 { return float64(s.Session.StreamsOpened) }),
		one("farcall_rmi_item_streams_open", typeGauge,
			"Sequences of items that are under way, in either direction.",
			func(s rmi.TallyStats) float64 { return float64(s.Conn.ItemStreams) }),
		one("farcall_rmi_calls_refused_total", typeCounter,
			"Calls of others that were turned away at a limit before they reached an object.",
			func(s rmi.TallyStats) float64 { return float64(s.Conn.Refused) }),
		one("farcall_rmi_calls_dropped_total", typeCounter,
			"One-way calls of others that were not carried out, and of which their callers were told nothing.",
			func(s rmi.TallyStats) float64 { return float64(s.Conn.Dropped) }),
		metric[rmi.TallyStats]{
			Family: Family{Name: "farcall_rmi_frames_total", Type: typeCounter,
				Help: "Frames that went over sessions, by direction: sent or received.", Labels: []string{"direction"}},
			emit: func(s rmi.TallyStats, put putFunc) {
				put(float64(s.Conn.FramesSent), "sent")
				put(float64(s.Conn.FramesReceived), "received")
			},
		},
		metric[rmi.TallyStats]{
			Family: Family{Name: "farcall_rmi_large_payloads_total", Type: typeCounter,
				Help: "Arguments and results that were too large to go among small calls, by direction.", Labels: []string{"direction"}},
			emit: func(s rmi.TallyStats, put putFunc) {
				put(float64(s.Conn.LargeSent), "sent")
				put(float64(s.Conn.LargeReceived), "received")
			},
		},
		metric[rmi.TallyStats]{
			Family: Family{Name: "farcall_rmi_flush_size_bytes", Type: typeHistogram,
				Help: "Sizes of the writes in which frames went out; frames sent over their count is how many were merged in one. A bucket leaves out its bound itself."},
			buckets: flushSizes,
		},
	)
}

// flushSizes makes the flush sizes a histogram.
func flushSizes(s rmi.TallyStats) histogram {
	h := histogram{count: s.Session.Writes, sum: float64(s.Session.BytesSent), buckets: map[float64]uint64{}}
	var below uint64
	for i, bound := range transport.WriteBounds {
		below += s.Session.WriteSizes[i]
		h.buckets[float64(bound)] = below
	}
	return h
}
