package etcdserver

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultName is the name of a member that is given none.
	DefaultName = "nameserver"
	// DefaultListenClient is where clients are served by default.
	DefaultListenClient = "http://127.0.0.1:2379"
	// DefaultListenPeer is where other members are served by default.
	DefaultListenPeer = "http://127.0.0.1:2380"
	// DefaultClusterToken is the token of a cluster that is given none.
	DefaultClusterToken = "farcall"
	// DefaultHistory is how long old revisions are kept by default.
	DefaultHistory = time.Hour
	// DefaultQuota is the default bound of the database, in bytes.
	DefaultQuota = 2 << 30
	// DefaultHeartbeat is the default interval of a leader's heartbeats.
	DefaultHeartbeat = 100 * time.Millisecond
	// DefaultElection is the default time without heartbeats after which
	// members elect another leader.
	DefaultElection = time.Second
)

// Options say what to run. The zero value needs only a DataDir or Dev.
//
// An address is a URL, http://host:port, or just host:port, which means the
// same. Port 0 picks a free port.
type Options struct {
	// Name is the member's name, unique in its cluster; empty means
	// [DefaultName].
	Name string
	// DataDir is where the member keeps its data. It is created where it does
	// not exist, and restarted from where it holds data; then InitialCluster
	// no longer counts. Required, unless Dev.
	DataDir string
	// Dev makes a throw-away member: DataDir, when empty, is a temporary
	// directory that Close removes, data is not flushed to disk, and passwords
	// are hashed quickly.
	Dev bool

	// ListenClient is where clients are served; empty means
	// [DefaultListenClient].
	ListenClient []string
	// AdvertiseClient is where other hosts reach ListenClient; empty means
	// the same, with the host's name in place of an address such as 0.0.0.0.
	AdvertiseClient []string
	// ListenPeer is where other members are served; empty means
	// [DefaultListenPeer].
	ListenPeer []string
	// AdvertisePeer is where other members reach ListenPeer; empty means as
	// for AdvertiseClient. Prefer names that outlive a change of address.
	AdvertisePeer []string
	// InitialCluster names the members of a new cluster, this one among them,
	// as NAME=URL,NAME=URL with the URLs that each advertises to its peers.
	// Empty means this member alone.
	InitialCluster string
	// ClusterToken keeps clusters apart that were made from equal
	// InitialClusters; empty means [DefaultClusterToken].
	ClusterToken string

	// History is how long old revisions are kept for watches that resume; 0
	// means [DefaultHistory]. At least a minute.
	History time.Duration
	// Quota bounds the database in bytes, after which it takes no more writes;
	// 0 means [DefaultQuota].
	Quota int64
	// Heartbeat and Election are the leader's heartbeat interval and the time
	// without one after which members elect another; 0 means
	// [DefaultHeartbeat] and [DefaultElection]. Election is at least five
	// heartbeats and at most 50 s. The shortest lease is 1.5 elections, rounded
	// up to a second.
	Heartbeat, Election time.Duration

	// Logger gets etcd's log: its warnings and errors as such, its information
	// at Debug level. Nil discards it.
	Logger *slog.Logger
}

// withDefaults returns o with defaults filled in, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Name, DefaultName)
	setDefault(&o.ClusterToken, DefaultClusterToken)
	setDefault(&o.History, DefaultHistory)
	setDefault(&o.Quota, DefaultQuota)
	setDefault(&o.Heartbeat, DefaultHeartbeat)
	setDefault(&o.Election, DefaultElection)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.ListenClient) == 0 {
		o.ListenClient = []string{DefaultListenClient}
	}
	if len(o.ListenPeer) == 0 {
		o.ListenPeer = []string{DefaultListenPeer}
	}
	switch {
	case o.DataDir == "" && !o.Dev:
		return o, &OptionError{Field: "DataDir", Reason: "a data directory is required, except in dev mode"}
	case strings.ContainsAny(o.Name, ",="):
		return o, &OptionError{Field: "Name", Value: o.Name, Reason: "it holds a comma or an equals sign"}
	case o.History < time.Minute:
		return o, &OptionError{Field: "History", Value: o.History.String(), Reason: "it is shorter than a minute"}
	case o.Quota < 0:
		return o, &OptionError{Field: "Quota", Value: strconv.FormatInt(o.Quota, 10), Reason: "it is negative"}
	case o.Heartbeat < time.Millisecond:
		return o, &OptionError{Field: "Heartbeat", Value: o.Heartbeat.String(), Reason: "it is shorter than a millisecond"}
	case o.Election < 5*o.Heartbeat || o.Election > 50*time.Second:
		return o, &OptionError{Field: "Election", Value: o.Election.String(),
			Reason: fmt.Sprintf("it is not between five heartbeats (%v) and 50s", 5*o.Heartbeat)}
	}
	return o, nil
}

// setDefault sets *v to def where it is zero.
func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// parseURLs parses the addresses of one option.
func parseURLs(field string, addrs []string) ([]url.URL, error) {
	urls := make([]url.URL, 0, len(addrs))
	for _, a := range addrs {
		s := a
		if !strings.Contains(s, "://") {
			s = "http://" + s
		}
		u, err := url.Parse(s)
		switch {
		case err != nil:
			return nil, &OptionError{Field: field, Value: a, Reason: "it is not a URL"}
		case u.Scheme != "http":
			return nil, &OptionError{Field: field, Value: a, Reason: "its scheme is not http"}
		case u.Path != "" || u.RawQuery != "" || u.User != nil:
			return nil, &OptionError{Field: field, Value: a, Reason: "it holds more than a host and a port"}
		}
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil || host == "" || port == "" {
			return nil, &OptionError{Field: field, Value: a, Reason: "it is not host:port"}
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return nil, &OptionError{Field: field, Value: a, Reason: "its port is not a number from 0 to 65535"}
		}
		urls = append(urls, *u)
	}
	return urls, nil
}

// pickPorts puts a free port in place of each port 0. Another process may take
// it before etcd listens there; Start tries again then.
func pickPorts(urls []url.URL) error {
	for i := range urls {
		if urls[i].Port() != "0" {
			continue
		}
		l, err := net.Listen("tcp", urls[i].Host)
		if err != nil {
			return fmt.Errorf("pick a free port for %s: %w", urls[i].Hostname(), err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		l.Close()
		urls[i].Host = net.JoinHostPort(urls[i].Hostname(), port)
	}
	return nil
}

// advertised returns what to advertise for listen where nothing was given.
func advertised(listen []url.URL) []url.URL {
	out := make([]url.URL, len(listen))
	copy(out, listen)
	for i := range out {
		if isUnspecified(out[i]) {
			if host, err := os.Hostname(); err == nil {
				out[i].Host = net.JoinHostPort(host, out[i].Port())
			}
		}
	}
	return out
}

// dialable returns the URLs at which this process reaches listen.
func dialable(listen []url.URL) []string {
	out := make([]string, len(listen))
	for i, u := range listen {
		if isUnspecified(u) {
			u.Host = net.JoinHostPort("127.0.0.1", u.Port())
		}
		out[i] = u.String()
	}
	return out
}

func isUnspecified(u url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsUnspecified()
}

// hasPortZero reports whether one of addrs asks for a free port.
func hasPortZero(addrs []string) bool {
	for _, a := range addrs {
		if strings.HasSuffix(a, ":0") {
			return true
		}
	}
	return false
}
