package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// usage is what a process has used since it started.
type usage struct {
	// CPU is its time on the processors, in the kernel too.
	CPU time.Duration
	// Allocs and Bytes are the heap allocations.
	Allocs, Bytes uint64
	// Syscalls are those that read or wrote, as the kernel counts them.
	Syscalls uint64
	// Resident is the memory in use now, in bytes.
	Resident uint64
}

// since returns what was used between before and u.
func (u usage) since(before usage) usage {
	return usage{
		CPU: u.CPU - before.CPU, Allocs: u.Allocs - before.Allocs, Bytes: u.Bytes - before.Bytes,
		Syscalls: u.Syscalls - before.Syscalls, Resident: u.Resident,
	}
}

// used returns what this process has used.
func used() (usage, error) {
	var u usage
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return u, err
	}
	u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	heap := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(heap)
	u.Allocs, u.Bytes = heap[0].Value.Uint64(), heap[1].Value.Uint64()
	var err error
	reads, err := procNumber("/proc/self/io", "syscr:")
	if err != nil {
		return u, err
	}
	writes, err := procNumber("/proc/self/io", "syscw:")
	if err != nil {
		return u, err
	}
	u.Syscalls = reads + writes
	resident, err := procNumber("/proc/self/status", "VmRSS:")
	u.Resident = resident << 10
	return u, err
}

// procNumber returns the number behind key in a file of /proc.
func procNumber(file, key string) (uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte(key)); ok {
			return strconv.ParseUint(string(bytes.Fields(rest)[0]), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, key)
}
