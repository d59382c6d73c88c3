// Command callbench measures calls of Farcall beside other ways to call, each
// with its client and its server in a process of its own, on this machine.
//
//	callbench [-quick] [-json FILE] [-out DIR]   measure everything, or the quick set
//	callbench -sessions N                        what idle sessions and waiting calls take
//
// With CALLBENCH_PROFILES set to the beginning of a file name, the processes write
// their CPU profiles there, and those of a run with -sessions their heap and goroutine
// profiles.
//
// The contestants take turns: each round gives every contestant the same work
// for the same time, one after another, so that noise of the machine hits all of
// them alike. What is compared are therefore ratios within a round, of which the
// median is told, with its spread.
package main
