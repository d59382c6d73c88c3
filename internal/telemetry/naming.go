package telemetry

import (
	"farcall.dev/naming"
)

// AddLease adds how this process stands with the name server: what a
// [naming.Registry]'s Status returns.
func (m *Metrics) AddLease(fetch func() naming.Status) {
	addSource(m, fetch,
		metric[naming.Status]{
			Family: Family{Name: "farcall_naming_lease_state", Type: typeGauge,
				Help:   "1 for the state that this process's registration is in, 0 for the others; live is as it should be.",
				Labels: []string{"state"}},
			emit: func(s naming.Status, put putFunc) {
				for _, state := range leaseStates() {
					put(truth(s.State == state), state)
				}
			},
		},
		one("farcall_naming_lease_records", typeGauge,
			"Names that this process has registered, published or not.",
			func(s naming.Status) float64 { return float64(s.Records) }),
		one("farcall_naming_lease_ttl_seconds", typeGauge,
			"How long this process's names outlive it when it dies without a word.",
			func(s naming.Status) float64 { return s.TTL.Seconds() }),
		one("farcall_naming_registrations_total", typeCounter,
			"How often this process's names were published as a whole: once at the start and once for each recovery.",
			func(s naming.Status) float64 { return float64(s.Registrations) }),
	)
}

// leaseStates lists the states of naming.Status.
func leaseStates() []string {
	return []string{"idle", "granting", "publishing", "live", "suspect", "closed"}
}

// AddCache adds what this process knows of everybody's names: what a
// [naming.Cache]'s Stats returns.
func (m *Metrics) AddCache(fetch func() naming.Stats) {
	addSource(m, fetch,
		one("farcall_naming_cache_names", typeGauge,
			"Names that are known here.",
			func(s naming.Stats) float64 { return float64(s.Names) }),
		one("farcall_naming_cache_instances", typeGauge,
			"Instances of all names that are known here.",
			func(s naming.Stats) float64 { return float64(s.Instances) }),
		one("farcall_naming_cache_guarded_instances", typeGauge,
			"Instances that the registry no longer lists and that are kept because they still answer.",
			func(s naming.Stats) float64 { return float64(s.Guarded) }),
		one("farcall_naming_cache_in_touch", typeGauge,
			"1 while the watch of the registry works, 0 while old data is served.",
			func(s naming.Stats) float64 { return truth(s.Listed && s.Err == nil) }),
		metric[naming.Stats]{
			Family: Family{Name: "farcall_naming_cache_age_seconds", Type: typeGauge,
				Help: "Time since the registry last confirmed what is known here; missing before the first listing."},
			emit: func(s naming.Stats, put putFunc) {
				if s.Listed {
					put(s.Age.Seconds())
				}
			},
		},
		one("farcall_naming_cache_lag_seconds", typeGauge,
			"How long the last change took from the registry to here, by the clocks of both; 0 when the registry does not tell.",
			func(s naming.Stats) float64 { return s.Lag.Seconds() }),
		one("farcall_naming_cache_revision", typeGauge,
			"The registry's revision that is known here.",
			func(s naming.Stats) float64 { return float64(s.Revision) }),
		one("farcall_naming_cache_resets_total", typeCounter,
			"Complete listings of the registry: the first, and one for each time that the watch had to start over.",
			func(s naming.Stats) float64 { return float64(s.Resets) }),
	)
}

// Member is how the etcd member of a name server stands.
type Member struct {
	// Running says that it runs and has joined its cluster, HasLeader that the
	// cluster has a leader, IsLeader that it is the leader itself.
	Running, HasLeader, IsLeader bool
	// Members counts the cluster's members.
	Members int
	// Revision is the newest of its store.
	Revision int64
	// Bytes is the size of its database, BytesInUse what of that is in use.
	Bytes, BytesInUse int64
}

// AddMember adds how a name server's etcd member stands.
func (m *Metrics) AddMember(fetch func() Member) {
	addSource(m, fetch,
		one("farcall_nameserver_etcd_running", typeGauge,
			"1 while the etcd member runs and has joined its cluster.",
			func(s Member) float64 { return truth(s.Running) }),
		one("farcall_nameserver_etcd_has_leader", typeGauge,
			"1 while the cluster has a leader, as this member sees it.",
			func(s Member) float64 { return truth(s.HasLeader) }),
		one("farcall_nameserver_etcd_is_leader", typeGauge,
			"1 while this member is the leader.",
			func(s Member) float64 { return truth(s.IsLeader) }),
		one("farcall_nameserver_etcd_members", typeGauge,
			"Members of the cluster.",
			func(s Member) float64 { return float64(s.Members) }),
		one("farcall_nameserver_etcd_revision", typeGauge,
			"The newest revision of this member's store.",
			func(s Member) float64 { return float64(s.Revision) }),
		one("farcall_nameserver_etcd_database_bytes", typeGauge,
			"Size of this member's database.",
			func(s Member) float64 { return float64(s.Bytes) }),
		one("farcall_nameserver_etcd_database_used_bytes", typeGauge,
			"What of the database is in use; the rest is free for reuse.",
			func(s Member) float64 { return float64(s.BytesInUse) }),
	)
}

// truth is 1 for true.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
