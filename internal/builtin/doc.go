// Package builtin holds the objects and functions that a daemon can host
// without anybody writing Go: the greeting that the first call of a newcomer
// goes to, and a few that make a mesh easy to try out, to test and to debug.
//
// [Object] and [Function] make them by the words that a daemon's configuration
// uses; [Default] is what a daemon without a configuration hosts.
package builtin
