package etcd

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// DefaultPrefix is what all keys begin with by default.
	DefaultPrefix = "/farcall/v1/"
	// DefaultTTL is how long the records of a process that dies stay by default.
	DefaultTTL = 10 * time.Second
	// MinTTL and MaxTTL bound Options.TTL.
	MinTTL, MaxTTL = time.Second, 10 * time.Minute
	// DefaultDialTimeout bounds one attempt to connect by default.
	DefaultDialTimeout = 3 * time.Second

	maxPrefix    = 512 // bytes
	maxEndpoints = 64
)

// Options say which etcd to use, and how.
type Options struct {
	// Endpoints are the members to use: host:port, or a URL of which only
	// scheme, host and port count. Another is tried when one fails. Required.
	Endpoints []string
	// Prefix is what all keys begin with, so that several meshes can share an
	// etcd; empty means [DefaultPrefix]. It is given a slash at its end.
	Prefix string
	// TTL is how long the records of a process that dies without a word stay,
	// [MinTTL] to [MaxTTL]; 0 means [DefaultTTL]. Part of a second counts as a
	// whole one. etcd may insist on more: one and a half times the time that
	// its members take to elect a leader.
	TTL time.Duration
	// TLS, when not nil, is used for every connection. An https endpoint
	// without it is verified with the host's certificates.
	TLS *tls.Config
	// Username and Password are sent to an etcd that wants them.
	Username, Password string
	// DialTimeout bounds one attempt to connect; 0 means [DefaultDialTimeout].
	DialTimeout time.Duration
	// Logger gets what no caller can see: faults and recoveries, and values
	// that were skipped. Nil discards it.
	Logger *slog.Logger
}

// withDefaults returns o with defaults filled in, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if !strings.HasSuffix(o.Prefix, "/") {
		o.Prefix += "/"
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(o.Endpoints) == 0:
		return o, &OptionError{Field: "Endpoints", Reason: "it is empty; give host:port of at least one etcd member"}
	case len(o.Endpoints) > maxEndpoints:
		return o, &OptionError{Field: "Endpoints", Reason: fmt.Sprintf("there are %d, and the most allowed is %d", len(o.Endpoints), maxEndpoints)}
	case o.TTL < MinTTL || o.TTL > MaxTTL:
		return o, &OptionError{Field: "TTL", Value: o.TTL.String(), Reason: fmt.Sprintf("it is not between %v and %v", MinTTL, MaxTTL)}
	case o.DialTimeout < 0:
		return o, &OptionError{Field: "DialTimeout", Value: o.DialTimeout.String(), Reason: "it is negative"}
	case (o.Username == "") != (o.Password == ""):
		return o, &OptionError{Field: "Username", Value: o.Username, Reason: "a user name needs a password, and a password a user name"}
	}
	if why := invalidPrefix(o.Prefix); why != "" {
		return o, &OptionError{Field: "Prefix", Value: o.Prefix, Reason: why}
	}
	o.TTL = (o.TTL + time.Second - 1).Truncate(time.Second)
	endpoints := make([]string, len(o.Endpoints))
	secure := o.TLS != nil
	for i, e := range o.Endpoints {
		addr, s, err := parseEndpoint(e)
		if err != nil {
			return o, err
		}
		secure = secure || s
		endpoints[i] = addr
	}
	for i := range endpoints {
		if secure && strings.HasPrefix(o.Endpoints[i], "http://") {
			return o, &OptionError{Field: "Endpoints", Value: o.Endpoints[i], Reason: "it says http where TLS is to be used; write https or no scheme"}
		}
	}
	o.Endpoints = endpoints
	switch {
	case o.TLS != nil:
		o.TLS = o.TLS.Clone()
	case secure:
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, nil
}

// parseEndpoint returns the host:port of e, and whether e asks for TLS.
func parseEndpoint(e string) (addr string, secure bool, err error) {
	addr = e
	if scheme, rest, ok := strings.Cut(e, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return "", false, &OptionError{Field: "Endpoints", Value: e, Reason: "its scheme is neither http nor https"}
		}
		addr, secure = strings.TrimSuffix(rest, "/"), scheme == "https"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" || strings.ContainsAny(addr, "/@?# ") {
		return "", false, &OptionError{Field: "Endpoints", Value: e, Reason: "it is not host:port"}
	}
	return addr, secure, nil
}

// invalidPrefix returns why p cannot begin keys, or "".
func invalidPrefix(p string) string {
	if len(p) > maxPrefix {
		return fmt.Sprintf("it has %d bytes, and the longest allowed is %d", len(p), maxPrefix)
	}
	if !utf8.ValidString(p) {
		return "it is not valid UTF-8"
	}
	for _, r := range p {
		if !unicode.IsPrint(r) {
			return fmt.Sprintf("the character %U is not printable", r)
		}
	}
	return ""
}
