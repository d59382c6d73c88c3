package rmi

// Promise is the result of a call that may not have come back yet.
type Promise struct{}
