package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"farcall.dev/internal/boot"
	"farcall.dev/internal/etcdserver"
)

const (
	// defaultListen is where HTTP is served by default.
	defaultListen = "127.0.0.1:7400"
	// defaultDataDir is where data is kept by default.
	defaultDataDir = "farcall-data"
	// defaultGrace is how long an orderly stop may take by default.
	defaultGrace = 10 * time.Second
)

// settings is what the command line and the environment say.
type settings struct {
	listen string
	pprof  bool
	grace  time.Duration
	log    boot.Log

	// endpoints are somebody else's etcd; with them, member is not used.
	endpoints []string
	member    etcdserver.Options
}

// program describes the command.
func program() boot.Program {
	s := &settings{}
	return boot.Program{
		Name:  "nameserver",
		Short: "Keep the names of a mesh",
		Long: `Nameserver keeps the names of a mesh: which objects and functions there are,
and where. It runs etcd in its own process; three of them, told of each other
with --initial-cluster, are a name service that survives the loss of one. With
--etcd-endpoints it uses an etcd that somebody else runs.

The first SIGTERM or SIGINT stops it in order, the second at once.`,
		Example: `  nameserver                     keep data in ./` + defaultDataDir + `
  nameserver --dev               keep nothing, for a try
  nameserver probe               end with status 0 when it is ready`,
		AdminFlag:    "listen",
		AdminDefault: defaultListen,
		Flags:        s.flags,
		Run: func(signals *boot.Signals, stdout, stderr io.Writer, changed func(string) bool) error {
			if err := s.check(changed); err != nil {
				return err
			}
			return run(s, signals, stdout, stderr)
		},
	}
}

// memberFlags are the flags that make no sense with --etcd-endpoints.
func memberFlags() []string {
	return []string{"data-dir", "dev", "name", "etcd-listen-client", "etcd-advertise-client",
		"etcd-listen-peer", "etcd-advertise-peer", "initial-cluster", "initial-cluster-token"}
}

// flags defines the flags.
func (s *settings) flags(fs *pflag.FlagSet) {
	fs.StringVar(&s.listen, "listen", defaultListen, "serve health, readiness, metrics and calls of the whole mesh by XML-RPC and JSON over HTTP on this host:port")
	fs.StringVar(&s.member.DataDir, "data-dir", defaultDataDir, "keep etcd's data in this directory, made where it is missing")
	fs.BoolVar(&s.member.Dev, "dev", false, "keep data in a temporary directory that is removed at the end")
	fs.StringVar(&s.member.Name, "name", etcdserver.DefaultName, "this name server's name, unique in its cluster")
	fs.StringSliceVar(&s.member.ListenClient, "etcd-listen-client", []string{etcdserver.DefaultListenClient}, "serve daemons and clients at these URLs")
	fs.StringSliceVar(&s.member.AdvertiseClient, "etcd-advertise-client", nil, "the URLs at which others reach --etcd-listen-client (default the same)")
	fs.StringSliceVar(&s.member.ListenPeer, "etcd-listen-peer", []string{etcdserver.DefaultListenPeer}, "serve the other name servers of a cluster at these URLs")
	fs.StringSliceVar(&s.member.AdvertisePeer, "etcd-advertise-peer", nil, "the URLs at which others reach --etcd-listen-peer (default the same)")
	fs.StringVar(&s.member.InitialCluster, "initial-cluster", "", "the members of a new cluster, NAME=PEER-URL,... (default this one alone)")
	fs.StringVar(&s.member.ClusterToken, "initial-cluster-token", etcdserver.DefaultClusterToken, "a word that keeps clusters apart")
	fs.StringSliceVar(&s.endpoints, "etcd-endpoints", nil, "use the etcd at these addresses instead of running one")
	fs.BoolVar(&s.pprof, "pprof", false, "serve profiles at --listen too")
	fs.DurationVar(&s.grace, "grace", defaultGrace, "how long an orderly stop may take")
	s.log.Flags(fs)
}

// check returns what is wrong with the settings that no later step would
// notice.
func (s *settings) check(changed func(string) bool) error {
	if err := boot.CheckListen("listen", s.listen); err != nil {
		return err
	}
	if s.grace <= 0 {
		return boot.Usagef("", "--grace %v is not a time to wait", s.grace)
	}
	if s.member.Dev {
		if changed("data-dir") {
			return boot.Usagef("leave out one of them", "--dev keeps nothing, and --data-dir says where to keep it")
		}
		s.member.DataDir = ""
	}
	if len(s.endpoints) > 0 {
		if odd := slices.DeleteFunc(memberFlags(), func(f string) bool { return !changed(f) }); len(odd) > 0 {
			return boot.Usagef("leave out one or the other",
				"--etcd-endpoints uses an etcd that runs elsewhere, and --%s is about running one here", strings.Join(odd, ", --"))
		}
	}
	return nil
}

// exposed returns the addresses that other machines can reach.
func (s *settings) exposed() []string {
	all := []string{s.listen}
	if len(s.endpoints) == 0 {
		all = slices.Concat(all, s.member.ListenClient, s.member.ListenPeer)
	}
	return slices.DeleteFunc(all, func(a string) bool {
		_, rest, found := strings.Cut(a, "://")
		if found {
			a = rest
		}
		return !boot.Exposed(a)
	})
}

// memberFailure turns the failure to start etcd into one in the words of the
// command line.
func memberFailure(err error) error {
	if e, ok := errors.AsType[*etcdserver.OptionError](err); ok {
		flag := map[string]string{
			"DataDir": "data-dir", "Name": "name", "ListenClient": "etcd-listen-client", "AdvertiseClient": "etcd-advertise-client",
			"ListenPeer": "etcd-listen-peer", "AdvertisePeer": "etcd-advertise-peer",
		}[e.Field]
		if flag == "" {
			return &boot.Failure{Code: boot.ExitUsage, Err: err}
		}
		return boot.Usagef("an address is a URL such as http://127.0.0.1:2379", "--%s %q: %s", flag, e.Value, e.Reason)
	}
	if _, ok := errors.AsType[*etcdserver.ListenError](err); ok {
		return &boot.Failure{Code: boot.ExitAddress, Err: err, Try: "the addresses are set by --etcd-listen-client and --etcd-listen-peer"}
	}
	if e, ok := errors.AsType[*etcdserver.DataDirError](err); ok {
		f := &boot.Failure{Code: boot.ExitData, Err: err, Try: "choose another directory with --data-dir"}
		if errors.Is(e, etcdserver.ErrInUse) {
			f.Try = "is a nameserver running already? Stop it, or choose another directory with --data-dir"
		}
		return f
	}
	return err
}
