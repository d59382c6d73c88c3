// Package xmlrpc holds Farcall's XML-RPC against the implementations that others
// wrote: clients in nine languages call a Handler, and a Client calls their
// servers. Each peer is a small program in peers/. What comes of it is the table
// in docs/xmlrpc.md, which -update writes and without it the tests hold to the
// results.
//
// Peers have defects. A known one is in the expectations by its name, with the
// wrong outcome it leads to: the tests fail when it is mended, too.
package xmlrpc
