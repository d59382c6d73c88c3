// Package soak lets processes of a mesh use each other's objects over real
// sockets whose connections break all the time, and looks at what is left.
package soak
