package boot

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/pflag"
)

// EnvPrefix begins the name of every environment variable that sets a flag.
const EnvPrefix = "FARCALL_"

// EnvName returns the variable that sets the flag of that name: "log-level" is
// FARCALL_LOG_LEVEL.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// DescribeEnv adds to each flag's usage the variable that sets it. Call it when
// all flags are defined.
func DescribeEnv(fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		if settable(f) {
			f.Usage += " [" + EnvName(f.Name) + "]"
		}
	})
}

// BindEnv sets each flag that the command line left alone from its variable,
// where lookup finds one that is not empty. It returns a [Failure] that names
// every variable with a bad value.
func BindEnv(fs *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed || !settable(f) {
			return
		}
		v, ok := lookup(EnvName(f.Name))
		if !ok || v == "" {
			return
		}
		if err := fs.Set(f.Name, v); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s: bad value %q for a flag that wants %s", EnvName(f.Name), v, f.Value.Type()))
		}
	})
	if len(errs) == 0 {
		return nil
	}
	return &Failure{Code: ExitUsage, Err: errors.Join(errs...), Try: "correct it, or unset it to use the default"}
}

// settable reports whether f is a setting, and not a question like --help.
func settable(f *pflag.Flag) bool { return f.Name != "help" && f.Name != "version" }

// CheckListen returns a [Failure] unless address, given by flag, is host:port.
func CheckListen(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return Usagef("it wants host:port, such as 127.0.0.1:7500; port 0 picks a free one",
			"--%s %q is not an address to listen on", flag, address)
	}
	return nil
}

// Exposed reports whether a listener on address can be reached from other
// machines. A name that is not an address counts as exposed, except localhost.
func Exposed(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}
