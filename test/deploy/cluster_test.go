package deploy

import (
	"fmt"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// root is the repository, seen from here.
const root = "../.."

// cluster is everything that one overlay would apply, by kind.
type cluster struct {
	workloads   []workload
	configMaps  map[string]*corev1.ConfigMap
	accounts    map[string]*corev1.ServiceAccount
	namespaces  map[string]*corev1.Namespace
	services    map[string]*corev1.Service
	budgets     map[string]*policyv1.PodDisruptionBudget
	policies    map[string]*networkingv1.NetworkPolicy
	podMonitors map[string]*monitoringv1.PodMonitor
	rules       map[string]*monitoringv1.PrometheusRule
}

// workload is whatever makes pods.
type workload struct {
	// name is kind and name, such as "StatefulSet/nameserver".
	name      string
	namespace string
	selector  *metav1.LabelSelector // nil for a job
	template  corev1.PodTemplateSpec
	// claims are the names of volume claim templates.
	claims []string
	// set is the workload itself when it is a StatefulSet.
	set *appsv1.StatefulSet
}

// overlays are what an operator applies.
func overlays() []string { return []string{"overlays/default", "overlays/dev", "overlays/monitored"} }

// eachOverlay runs check on each overlay as a subtest.
func eachOverlay(t *testing.T, check func(*testing.T, *cluster)) {
	for _, o := range overlays() {
		t.Run(o, func(t *testing.T) { check(t, build(t, o)) })
	}
}

// build runs kustomize on one overlay and decodes what comes out.
func build(t *testing.T, overlay string) *cluster {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).
		Run(filesys.MakeFsOnDisk(), root+"/deploy/k8s/"+overlay)
	if err != nil {
		t.Fatalf("kustomize build %s: %v", overlay, err)
	}
	c := &cluster{
		configMaps:  map[string]*corev1.ConfigMap{},
		accounts:    map[string]*corev1.ServiceAccount{},
		namespaces:  map[string]*corev1.Namespace{},
		services:    map[string]*corev1.Service{},
		budgets:     map[string]*policyv1.PodDisruptionBudget{},
		policies:    map[string]*networkingv1.NetworkPolicy{},
		podMonitors: map[string]*monitoringv1.PodMonitor{},
		rules:       map[string]*monitoringv1.PrometheusRule{},
	}
	decoder := strictDecoder(t)
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		obj, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			t.Errorf("%s: the API server would refuse it: %v", r.CurId(), err)
			continue
		}
		if err := c.add(obj); err != nil {
			t.Error(err)
		}
	}
	return c
}

// strictDecoder decodes the kinds that the manifests use and refuses unknown
// and repeated fields.
func strictDecoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme,
		json.SerializerOptions{Yaml: true, Strict: true})
}

// add files obj under its kind.
func (c *cluster) add(obj runtime.Object) error {
	switch o := obj.(type) {
	case *corev1.Namespace:
		c.namespaces[o.Name] = o
	case *corev1.ConfigMap:
		c.configMaps[o.Name] = o
	case *corev1.ServiceAccount:
		c.accounts[o.Name] = o
	case *corev1.Service:
		c.services[o.Name] = o
	case *policyv1.PodDisruptionBudget:
		c.budgets[o.Name] = o
	case *networkingv1.NetworkPolicy:
		c.policies[o.Name] = o
	case *monitoringv1.PodMonitor:
		c.podMonitors[o.Name] = o
	case *monitoringv1.PrometheusRule:
		c.rules[o.Name] = o
	case *appsv1.StatefulSet:
		w := workload{name: "StatefulSet/" + o.Name, namespace: o.Namespace, selector: o.Spec.Selector, template: o.Spec.Template, set: o}
		for _, claim := range o.Spec.VolumeClaimTemplates {
			w.claims = append(w.claims, claim.Name)
		}
		c.workloads = append(c.workloads, w)
	case *appsv1.Deployment:
		c.workloads = append(c.workloads, workload{name: "Deployment/" + o.Name, namespace: o.Namespace, selector: o.Spec.Selector, template: o.Spec.Template})
	case *batchv1.Job:
		c.workloads = append(c.workloads, workload{name: "Job/" + o.Name, namespace: o.Namespace, template: o.Spec.Template})
	default:
		return fmt.Errorf("no check knows what a %T is: add it to cluster", obj)
	}
	return nil
}

// container returns the only container of w.
func (w workload) container(t *testing.T) corev1.Container {
	t.Helper()
	if len(w.template.Spec.Containers) != 1 {
		t.Fatalf("%s has %d containers, want 1", w.name, len(w.template.Spec.Containers))
	}
	return w.template.Spec.Containers[0]
}

// hasPort reports whether a container of w has a port of that name.
func (w workload) hasPort(name string) bool {
	for _, c := range w.template.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return true
			}
		}
	}
	return false
}
