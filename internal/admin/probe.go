package admin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// maxProbeBody is how much of an answer a probe reads, in bytes.
const maxProbeBody = 8 << 10

// Probe asks for path (such as "/readyz") of the admin listener at address and
// returns what it answered. The error is not nil when nobody answers, or the
// answer is not 200, and then says what it is. An address without a host, or
// with the wildcard one, means this machine.
func Probe(ctx context.Context, address, path string) (string, error) {
	url := "http://" + local(address) + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("probe %s: %w", address, err)
	}
	// No proxy: a probe is for this machine. No kept connection: it is for once.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("probe: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeBody))
	if err != nil {
		return "", fmt.Errorf("probe %s: %w", url, err)
	}
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return text, fmt.Errorf("probe %s: status %d: %s", url, resp.StatusCode, strings.ReplaceAll(text, "\n", "; "))
	}
	return text, nil
}

// local turns an address to listen on into one to dial.
func local(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	// A listener on "::" takes IPv4 as well.
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
