package main

import (
	"context"

	"farcall.dev"
	"farcall.dev/internal/daemonconf"
	"farcall.dev/xmlrpc"
)

// attach makes a server part of the mesh. That it does not answer is no failure:
// its name waits for it.
func (d *daemon) attach(ctx context.Context, mesh *farcall.Mesh, c daemonconf.Attachment) error {
	dialects := map[string]xmlrpc.Dialect{"plain": xmlrpc.Plain, "apache": xmlrpc.Apache}
	a, err := mesh.Attach(ctx, c.Name, c.URL, farcall.AttachOptions{
		Register: farcall.RegisterOptions{Mode: c.Mode, Tags: c.Tags, Weight: c.Weight, Version: c.Version, Methods: c.Methods},
		Dialect:  dialects[c.Dialect], // nothing is the standard
		Timeout:  c.Timeout,
		Health: farcall.Health{
			Method: c.Health.Method, Interval: c.Health.Interval, Timeout: c.Health.Timeout,
			Failures: c.Health.Failures, Successes: c.Health.Successes,
		},
	})
	if err != nil {
		return registerFailure(ctx, err)
	}
	d.attached = append(d.attached, a)
	return nil
}

// standing says what there is to know of an attached server.
func standing(a *farcall.Attachment) string {
	if up, err := a.Up(); !up && err != nil {
		return "  (waits for it: " + err.Error() + ")"
	}
	return ""
}
