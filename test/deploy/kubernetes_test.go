package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// TestEverythingIsInOneNamespace also checks that the namespace refuses pods
// that are not restricted.
func TestEverythingIsInOneNamespace(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		ns := c.namespaces["farcall"]
		if ns == nil {
			t.Fatal("there is no namespace farcall")
		}
		if got := ns.Labels[psa.EnforceLevelLabel]; got != "restricted" {
			t.Errorf("the namespace enforces %q, want restricted", got)
		}
		var objects []metav1.Object
		for _, o := range c.services {
			objects = append(objects, o)
		}
		for _, o := range c.policies {
			objects = append(objects, o)
		}
		for _, o := range c.budgets {
			objects = append(objects, o)
		}
		for _, o := range c.podMonitors {
			objects = append(objects, o)
		}
		for _, o := range objects {
			if o.GetNamespace() != "farcall" {
				t.Errorf("%s is in namespace %q, want farcall", o.GetName(), o.GetNamespace())
			}
		}
		for _, w := range c.workloads {
			if w.namespace != "farcall" {
				t.Errorf("%s is in namespace %q, want farcall", w.name, w.namespace)
			}
		}
	})
}

// TestPodsAreAdmitted runs Kubernetes' own check of the restricted standard.
func TestPodsAreAdmitted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := psa.LevelVersion{Level: psa.LevelRestricted, Version: psa.LatestVersion()}
	eachOverlay(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &w.template.ObjectMeta, &w.template.Spec))
			if !result.Allowed {
				t.Errorf("%s: %s", w.name, result.ForbiddenDetail())
			}
		}
	})
}

// TestPodsFollowTheHouseRules checks what admission does not ask for.
func TestPodsFollowTheHouseRules(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			spec, cont := w.template.Spec, w.container(t)
			if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
				t.Errorf("%s: its pods get a token that they do not need", w.name)
			}
			if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
				t.Errorf("%s: its pods get an environment variable for each service", w.name)
			}
			if spec.ServiceAccountName != "" && c.accounts[spec.ServiceAccountName] == nil {
				t.Errorf("%s: there is no service account %s", w.name, spec.ServiceAccountName)
			}
			if ro := cont.SecurityContext.ReadOnlyRootFilesystem; ro == nil || !*ro {
				t.Errorf("%s: its root file system can be written to", w.name)
			}
			name, tag, _ := strings.Cut(cont.Image, ":")
			if name != "farcall" || tag == "" || tag == "latest" {
				t.Errorf("%s: image %q is not farcall with a tag that means one thing", w.name, cont.Image)
			}
			for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				if cont.Resources.Requests[r] == (corev1.ResourceList{})[r] {
					t.Errorf("%s: requests no %s", w.name, r)
				}
			}
			if cont.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: has no memory limit", w.name)
			}
			checkMemoryLimit(t, w)
		}
	})
}

// checkMemoryLimit wants GOMEMLIMIT, where it is set, at about nine tenths of
// the container's limit.
func checkMemoryLimit(t *testing.T, w workload) {
	t.Helper()
	c := w.container(t)
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
	if i < 0 {
		return
	}
	var mib int64
	for _, digit := range strings.TrimSuffix(c.Env[i].Value, "MiB") {
		mib = mib*10 + int64(digit-'0')
	}
	limit := c.Resources.Limits.Memory().Value() >> 20
	if mib < limit*85/100 || mib > limit*95/100 {
		t.Errorf("%s: GOMEMLIMIT is %s, want about nine tenths of %d MiB", w.name, c.Env[i].Value, limit)
	}
}

// TestServersAreProbed checks that each probe exists, asks a port that exists,
// and that liveness never depends on anything but the process itself.
func TestServersAreProbed(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			if w.selector == nil {
				continue // a job ends by itself
			}
			cont := w.container(t)
			for _, p := range []struct {
				name, path string
				probe      *corev1.Probe
			}{
				{"startup", "/healthz", cont.StartupProbe},
				{"liveness", "/healthz", cont.LivenessProbe},
				{"readiness", "/readyz", cont.ReadinessProbe},
			} {
				if p.probe == nil || p.probe.HTTPGet == nil {
					t.Errorf("%s: has no %s probe", w.name, p.name)
					continue
				}
				if got := p.probe.HTTPGet.Path; got != p.path {
					t.Errorf("%s: the %s probe asks %s, want %s", w.name, p.name, got, p.path)
				}
				if port := p.probe.HTTPGet.Port; port.Type != intstr.String || !w.hasPort(port.StrVal) {
					t.Errorf("%s: the %s probe asks port %q, which the container does not name", w.name, p.name, port.String())
				}
			}
		}
	})
}

// TestSelectorsFindPods checks that every selector finds the pods of at least
// one workload, and every port that is named exists there.
func TestSelectorsFindPods(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			if w.selector != nil && !slices.ContainsFunc(c.find(t, w.selector), func(x workload) bool { return x.name == w.name }) {
				t.Errorf("%s does not select its own pods", w.name)
			}
			if w.selector != nil && len(c.find(t, w.selector)) > 1 {
				t.Errorf("%s selects other workloads' pods as well", w.name)
			}
		}
		for name, s := range c.services {
			found := c.find(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
			for _, p := range s.Spec.Ports {
				c.checkPort(t, "service "+name, found, p.TargetPort)
			}
		}
		for name, b := range c.budgets {
			if len(c.find(t, b.Spec.Selector)) == 0 {
				t.Errorf("disruption budget %s selects nothing", name)
			}
		}
		for name, m := range c.podMonitors {
			found := c.find(t, &m.Spec.Selector)
			for _, e := range m.Spec.PodMetricsEndpoints {
				c.checkPort(t, "pod monitor "+name, found, intstr.FromString(*e.Port))
			}
		}
		for name, p := range c.policies {
			found := c.find(t, &p.Spec.PodSelector)
			for _, rule := range p.Spec.Ingress {
				for _, port := range rule.Ports {
					c.checkPort(t, "network policy "+name, found, *port.Port)
				}
				for _, from := range rule.From {
					if from.NamespaceSelector == nil && len(c.find(t, from.PodSelector)) == 0 {
						t.Errorf("network policy %s lets in nobody by %v", name, from.PodSelector)
					}
				}
			}
		}
	})
}

// TestEveryPortCanBeReached checks that with the policies in place each port
// that a container names is let through to somebody.
func TestEveryPortCanBeReached(t *testing.T) {
	c := build(t, "overlays/monitored")
	for _, w := range c.workloads {
		for _, port := range w.container(t).Ports {
			open := false
			for _, p := range c.policies {
				if !slices.ContainsFunc(c.find(t, &p.Spec.PodSelector), func(x workload) bool { return x.name == w.name }) {
					continue
				}
				for _, rule := range p.Spec.Ingress {
					for _, x := range rule.Ports {
						open = open || x.Port.StrVal == port.Name
					}
				}
			}
			if !open {
				t.Errorf("%s: no policy lets anybody reach port %s", w.name, port.Name)
			}
		}
	}
}

// TestVolumesAreThere checks that what is mounted exists, and what is written
// to a config map is what a container reads.
func TestVolumesAreThere(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			have := slices.Clone(w.claims)
			for _, v := range w.template.Spec.Volumes {
				have = append(have, v.Name)
				if v.ConfigMap != nil && c.configMaps[v.ConfigMap.Name] == nil {
					t.Errorf("%s: there is no config map %s", w.name, v.ConfigMap.Name)
				}
			}
			for _, m := range w.container(t).VolumeMounts {
				if !slices.Contains(have, m.Name) {
					t.Errorf("%s mounts %s, which is not there", w.name, m.Name)
				}
			}
		}
	})
}

// TestNameServersFindEachOther checks what goes wrong with members of etcd in a
// StatefulSet: see the comments in deploy/k8s/base/nameserver-services.yaml.
func TestNameServersFindEachOther(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		i := slices.IndexFunc(c.workloads, func(w workload) bool { return w.set != nil })
		if i < 0 {
			t.Fatal("there is no StatefulSet")
		}
		set := c.workloads[i].set
		headless := c.services[set.Spec.ServiceName]
		switch {
		case headless == nil:
			t.Fatalf("there is no service %s for the members' names", set.Spec.ServiceName)
		case headless.Spec.ClusterIP != corev1.ClusterIPNone:
			t.Errorf("service %s is not headless", headless.Name)
		case !headless.Spec.PublishNotReadyAddresses:
			t.Errorf("service %s hides members that are not ready, and none ever would be", headless.Name)
		}
		for name, s := range c.services {
			if s.Spec.ClusterIP == corev1.ClusterIPNone && name != headless.Name {
				t.Errorf("service %s is a second headless one: a member would have two names", name)
			}
		}
		if set.Spec.PodManagementPolicy != "OrderedReady" {
			t.Errorf("members are replaced by %q, want OrderedReady", set.Spec.PodManagementPolicy)
		}
	})
}

// variable is a reference that Kubernetes expands in args.
var variable = regexp.MustCompile(`\$\(([A-Z_]+)\)`)

// TestArgsUseVariablesThatExist looks for references that would stay as they
// stand.
func TestArgsUseVariablesThatExist(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			cont := w.container(t)
			for _, m := range variable.FindAllStringSubmatch(strings.Join(cont.Args, " "), -1) {
				if !slices.ContainsFunc(cont.Env, func(e corev1.EnvVar) bool { return e.Name == m[1] }) {
					t.Errorf("%s: no variable %s is set", w.name, m[1])
				}
			}
		}
	})
}

// TestAddressesNameServices checks that what the pods are told to connect to is
// the name and port of a service.
func TestAddressesNameServices(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			var addresses []string
			for _, arg := range w.container(t).Args {
				if a, ok := strings.CutPrefix(arg, "--nameserver="); ok {
					addresses = append(addresses, a)
				}
			}
			for _, e := range w.container(t).Env {
				if e.Name == "FARCALL_NAMESERVER" {
					addresses = append(addresses, e.Value)
				}
			}
			for _, a := range addresses {
				host, port, _ := strings.Cut(a, ":")
				s := c.services[host]
				if s == nil || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
					return intstr.FromInt32(p.Port) == intstr.Parse(port)
				}) {
					t.Errorf("%s connects to %s, which no service is", w.name, a)
				}
			}
			if len(addresses) == 0 && !strings.Contains(w.name, "nameserver") {
				t.Errorf("%s is told of no name server", w.name)
			}
		}
	})
}

// find returns the workloads whose pods sel selects.
func (c *cluster) find(t *testing.T, sel *metav1.LabelSelector) []workload {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(sel)
	if err != nil {
		t.Fatal(err)
	}
	var found []workload
	for _, w := range c.workloads {
		if s.Matches(labels.Set(w.template.Labels)) {
			found = append(found, w)
		}
	}
	return found
}

// checkPort reports when who means a port that no workload of found names.
func (c *cluster) checkPort(t *testing.T, who string, found []workload, port intstr.IntOrString) {
	t.Helper()
	if len(found) == 0 {
		t.Errorf("%s selects nothing", who)
	}
	if port.Type != intstr.String || !slices.ContainsFunc(found, func(w workload) bool { return w.hasPort(port.StrVal) }) {
		t.Errorf("%s: no container that it selects names a port %q", who, port.String())
	}
}
