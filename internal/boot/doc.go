// Package boot holds what the long-running commands have in common, so that
// they start, log, stop and fail alike: settings from flags and from the
// environment ([BindEnv]), a logger ([Log]), signals ([Signals]), and errors
// that carry a hint and an exit code ([Failure], [Report]).
package boot
