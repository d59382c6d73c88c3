// Package daemonconf reads what a daemon hosts from a YAML file; [Example]
// shows every key of it. Only name and type, or name and function, are required.
//
// The reader is strict: a key that it does not know is an error, and every
// error is reported at once, each with its line and, where one is near, the word
// that was meant.
package daemonconf
