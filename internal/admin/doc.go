// Package admin serves what an operator and a machine that watches over a
// process want to know of it, over HTTP on a port of its own: whether the
// process is up (/healthz), whether it is ready and if not which part of it is
// not (/readyz), its metrics (/metrics), and, when asked for, its profiles
// (/debug/pprof/).
//
// /healthz fails only when the process is wedged, never because of what the
// process depends on, so that a restart is only asked for where a restart can
// help. /readyz is for everything else.
//
// [Probe] is the other end: what a health check runs in an image that holds no
// shell and no curl.
package admin
