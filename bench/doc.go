// Package bench measures Farcall beside other people's libraries. It is a
// module of its own, so that they never become dependencies of Farcall.
package bench
