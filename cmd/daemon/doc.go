// Command daemon hosts objects and functions, and registers them by name so
// that every other process in the mesh can call them. Without a configuration
// it hosts the object greeting and the functions add and echo.
//
//	daemon                      hosts the built-in ones
//	daemon --config FILE        hosts what the file lists
//	daemon --help               lists every flag, its variable, and the exit codes
//
// To host objects of your own, use package farcall; this command is what that
// looks like, with settings, metrics and an orderly stop around it.
package main
