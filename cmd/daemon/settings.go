package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"farcall.dev"
	"farcall.dev/internal/boot"
	"farcall.dev/internal/daemonconf"
	"farcall.dev/naming"
)

const (
	// defaultListen is where calls are served by default.
	defaultListen = "127.0.0.1:7500"
	// defaultAdmin is where health and metrics are served by default.
	defaultAdmin = "127.0.0.1:7501"
	// defaultGrace is how long an orderly stop may take by default.
	defaultGrace = 10 * time.Second
	// defaultLease is how long names outlive a daemon that dies by default.
	defaultLease = 10 * time.Second
	// off turns the admin listener off.
	off = "off"
)

// settings is what the command line and the environment say.
type settings struct {
	nameservers       []string
	nameserverTimeout time.Duration
	lease             time.Duration
	node              string
	listen, advertise string
	admin             string
	zone              string
	tags              []string
	weight            int
	config            string
	grace             time.Duration
	pprof             bool
	log               boot.Log
}

// program describes the command.
func program() boot.Program {
	s := &settings{}
	return boot.Program{
		Name:  "daemon",
		Short: "Host objects and functions, and register them by name",
		Long: `Daemon hosts objects and functions, and registers them by name so that every
other process in the mesh can call them. Without --config it hosts the object
greeting and the functions add and echo.

While the name server cannot be reached it keeps trying, and /readyz says so.
The first SIGTERM or SIGINT drains it: callers are sent elsewhere, calls under
way are finished within --grace. The second stops it at once.

A --config file lists what to host:

` + indent(daemonconf.Example),
		Example: `  daemon                                        host the built-in ones
  daemon --listen 127.0.0.1:7510 --admin off    a second one beside it
  daemon --config daemon.yaml                   host what the file lists
  daemon probe                                  end with status 0 when it is ready`,
		AdminFlag:    "admin",
		AdminDefault: defaultAdmin,
		Flags:        s.flags,
		Run: func(signals *boot.Signals, stdout, stderr io.Writer, _ func(string) bool) error {
			if err := s.check(); err != nil {
				return err
			}
			return run(s, signals, stdout, stderr)
		},
	}
}

// indent sets text off from what surrounds it.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// flags defines the flags.
func (s *settings) flags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&s.nameservers, "nameserver", []string{farcall.DefaultNameServer}, "the name servers' etcd addresses, host:port")
	fs.DurationVar(&s.nameserverTimeout, "nameserver-timeout", 0, "give up when no name server has answered for this long at the start; 0 never gives up")
	fs.DurationVar(&s.lease, "lease-ttl", defaultLease, "how long the names outlive a daemon that dies without a word")
	fs.StringVar(&s.node, "node", "", "what this daemon is called, unique in the mesh (default the host's name and six random letters)")
	fs.StringVar(&s.listen, "listen", defaultListen, "serve calls on this host:port")
	fs.StringVar(&s.advertise, "advertise", "", "the host or host:port at which others reach --listen (default the same)")
	fs.StringVar(&s.admin, "admin", defaultAdmin, "serve health, readiness and metrics over HTTP on this host:port; off turns it off")
	fs.StringVar(&s.zone, "zone", "", "where this daemon runs; callers prefer their own zone")
	fs.StringSliceVar(&s.tags, "tag", nil, "words to choose instances by, added to everything hosted")
	fs.IntVar(&s.weight, "weight", naming.DefaultWeight, fmt.Sprintf("share of the calls beside others that host the same, 1 to %d", naming.MaxWeight))
	fs.StringVar(&s.config, "config", "", "a YAML file that lists what to host")
	fs.DurationVar(&s.grace, "grace", defaultGrace, "how long calls under way may take to finish at a stop")
	fs.BoolVar(&s.pprof, "pprof", false, "serve profiles at --admin too")
	s.log.Flags(fs)
}

// check returns what is wrong with the settings, before anything is started.
func (s *settings) check() error {
	if s.admin == off {
		s.admin = ""
	}
	if s.admin != "" {
		if err := boot.CheckListen("admin", s.admin); err != nil {
			return err
		}
	}
	if err := boot.CheckListen("listen", s.listen); err != nil {
		return err
	}
	switch {
	case s.grace <= 0:
		return boot.Usagef("", "--grace %v is not a time to wait", s.grace)
	case s.nameserverTimeout < 0:
		return boot.Usagef("", "--nameserver-timeout %v is not a time to wait", s.nameserverTimeout)
	case s.weight < 1 || s.weight > naming.MaxWeight:
		return boot.Usagef("", "--weight %d is not between 1 and %d", s.weight, naming.MaxWeight)
	}
	if s.node != "" {
		if _, err := naming.ParseNodeID(s.node); err != nil {
			return boot.Usagef("", "--node: %w", err)
		}
	}
	return errors.Join(s.checkTags(), s.checkAdvertise())
}

// checkTags returns which of the tags cannot be one.
func (s *settings) checkTags() error {
	if len(s.tags) > naming.MaxTags {
		return boot.Usagef("", "--tag: there are %d, and the most allowed is %d", len(s.tags), naming.MaxTags)
	}
	_, err := naming.Instance{Name: "x", Node: "x", Tags: s.tags}.Normalize()
	if bad, ok := errors.AsType[*naming.InvalidNameError](err); ok {
		return boot.Usagef("", "--tag: %w", bad)
	}
	return err
}

// checkAdvertise returns why others would not know where to call.
func (s *settings) checkAdvertise() error {
	host, port, _ := net.SplitHostPort(s.listen)
	if s.advertise == "" {
		if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
			return nil
		}
		hint := "give the address of this machine that others use, such as --advertise 10.0.0.7"
		if addrs := addresses(); len(addrs) > 0 {
			hint = "give the one that others use, such as --advertise " + addrs[0]
			if len(addrs) > 1 {
				hint += "\nthis machine has the addresses " + strings.Join(addrs, ", ")
			}
		}
		return boot.Usagef(hint, "--listen %s takes calls at every address of this machine, so none of them can be advertised by itself", s.listen)
	}
	ahost, aport, err := net.SplitHostPort(s.advertised(port))
	ip := net.ParseIP(ahost)
	switch {
	case err != nil || ahost == "" || strings.ContainsAny(s.advertise, "/ "):
		return boot.Usagef("it wants host or host:port, such as 10.0.0.7:7500", "--advertise %q is not an address", s.advertise)
	case ip != nil && ip.IsUnspecified():
		return boot.Usagef("it wants the address that others use", "--advertise %q is no address that anybody can call", s.advertise)
	}
	if n, err := net.LookupPort("tcp", aport); err != nil || (n == 0 && port != "0") {
		return boot.Usagef("", "--advertise %q: %q is not a port", s.advertise, aport)
	}
	return nil
}

// advertised returns the host:port to advertise when port is listened on;
// empty when nothing was given.
func (s *settings) advertised(port string) string {
	if s.advertise == "" {
		return ""
	}
	if _, _, err := net.SplitHostPort(s.advertise); err == nil {
		return s.advertise
	}
	return net.JoinHostPort(strings.Trim(s.advertise, "[]"), port)
}

// hosted returns what to host.
func (s *settings) hosted() (daemonconf.Config, error) {
	if s.config == "" {
		return daemonconf.Default(), nil
	}
	cfg, err := daemonconf.Load(s.config)
	if err != nil {
		return cfg, &boot.Failure{Code: boot.ExitUsage, Err: err, Try: "nothing was started; correct the file given with --config"}
	}
	return cfg, nil
}

// addresses returns the addresses at which other machines may reach this one.
func addresses() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	return out
}
