package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// composeFile is what these tests look at of docker-compose.yml. Whether
// Compose takes the file as a whole is for the end-to-end test.
type composeFile struct {
	Version  string
	Services map[string]composeService
}

// composeService is one service.
type composeService struct {
	Image       string
	Entrypoint  []string
	Command     []string
	ReadOnly    bool     `json:"read_only"`
	CapDrop     []string `json:"cap_drop"`
	SecurityOpt []string `json:"security_opt"`
	Healthcheck *struct{ Test []string }
	Profiles    []string
}

// loadCompose reads docker-compose.yml.
func loadCompose(t *testing.T) composeFile {
	t.Helper()
	var f composeFile
	if err := yaml.Unmarshal([]byte(read(t, root+"/docker-compose.yml")), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Services) == 0 {
		t.Fatal("docker-compose.yml has no services")
	}
	return f
}

// substitution is a variable with its default.
var substitution = regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)

func TestComposeServicesAreConfined(t *testing.T) {
	f := loadCompose(t)
	if f.Version != "" {
		t.Error("docker-compose.yml has a version, which Compose v2 warns of")
	}
	for name, s := range f.Services {
		image := substitution.ReplaceAllString(s.Image, "$1")
		if _, tag, _ := strings.Cut(image, ":"); tag == "" || tag == "latest" {
			t.Errorf("%s: image %q has no tag that means one thing", name, image)
		}
		if !s.ReadOnly {
			t.Errorf("%s can write to its root file system", name)
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s keeps capabilities", name)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges", name)
		}
		if len(s.Profiles) == 0 && s.Healthcheck == nil {
			t.Errorf("%s has no health check", name)
		}
	}
}

// TestPrometheusScrapesWhatComposeStarts checks that each target is a service
// that serves at that port, and that no program is left out.
func TestPrometheusScrapesWhatComposeStarts(t *testing.T) {
	f := loadCompose(t)
	var config struct {
		ScrapeConfigs []struct {
			JobName       string                       `json:"job_name"`
			StaticConfigs []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/deploy/prometheus/prometheus.yml")), &config); err != nil {
		t.Fatal(err)
	}
	scraped := map[string]bool{}
	for _, job := range config.ScrapeConfigs {
		for _, static := range job.StaticConfigs {
			for _, target := range static.Targets {
				host, port, _ := strings.Cut(target, ":")
				scraped[host] = true
				s, ok := f.Services[host]
				if !ok {
					t.Errorf("Prometheus scrapes %s, which is no service", target)
					continue
				}
				if s.Command[0] != job.JobName {
					t.Errorf("%s is scraped as %s, and is a %s", target, job.JobName, s.Command[0])
				}
				flag := map[string]string{"nameserver": "--listen", "daemon": "--admin"}[job.JobName]
				if !slices.Contains(s.Command, flag+"=0.0.0.0:"+port) {
					t.Errorf("Prometheus scrapes %s, where the service does not listen: %q", target, s.Command)
				}
			}
		}
	}
	for name, s := range f.Services {
		if len(s.Profiles) == 0 && name != "prometheus" && !scraped[name] {
			t.Errorf("Prometheus does not scrape %s", name)
		}
	}
}
