package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"
)

// composeFile is as much of compose.yaml as matters here.
type composeFile struct {
	Services map[string]struct {
		Image           string            `yaml:"image"`
		Command         []string          `yaml:"command"`
		Environment     map[string]string `yaml:"environment"`
		StopGracePeriod time.Duration     `yaml:"stop_grace_period"`
		Networks        map[string]struct {
			Address string   `yaml:"ipv4_address"`
			Aliases []string `yaml:"aliases"`
		} `yaml:"networks"`
		Secrets     []string `yaml:"secrets"`
		Ports       []string `yaml:"ports"`
		HealthCheck struct {
			Test []string `yaml:"test"`
		} `yaml:"healthcheck"`
	} `yaml:"services"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

// manifest is as much of an object of kubernetes.yaml as matters here.
type manifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name      string `yaml:"name"`
		Namespace string `yaml:"namespace"`
	} `yaml:"metadata"`
	Data map[string]string `yaml:"data"` // a ConfigMap's
	Spec struct {
		Replicas int `yaml:"replicas"`
		Ports    []struct {
			Port int `yaml:"port"`
		} `yaml:"ports"` // a Service's
		Template struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Image string `yaml:"image"`
					Env   []struct {
						Name  string `yaml:"name"`
						Value string `yaml:"value"`
					} `yaml:"env"`
					Ports []struct {
						Name string `yaml:"name"`
						Port int    `yaml:"containerPort"`
					} `yaml:"ports"`
					Mounts []struct {
						Name string `yaml:"name"`
						Path string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				} `yaml:"containers"`
				Volumes []struct {
					Name   string `yaml:"name"`
					Secret struct {
						Name string `yaml:"secretName"`
					} `yaml:"secret"`
				} `yaml:"volumes"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

func readDeploy(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	var file composeFile
	if err := yaml.Unmarshal([]byte(readDeploy(t, "compose.yaml")), &file); err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	return file
}

// readManifests returns the objects of kubernetes.yaml, each under its kind and name.
func readManifests(t *testing.T) map[string]manifest {
	t.Helper()
	objects := make(map[string]manifest)
	for decoder := yaml.NewDecoder(strings.NewReader(readDeploy(t, "kubernetes.yaml"))); ; {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("kubernetes.yaml: %v", err)
		}
		name := m.Kind + " " + m.Metadata.Name
		if _, there := objects[name]; there || m.Kind == "" || m.Metadata.Name == "" {
			t.Errorf("kubernetes.yaml: a second, or nameless, %q", name)
		}
		if m.Kind != "Namespace" && m.Metadata.Namespace != "rotki-bridge" {
			t.Errorf("kubernetes.yaml: %s is in namespace %q", name, m.Metadata.Namespace)
		}
		objects[name] = m
	}
}

// deployedBridges returns the settings of each deployed bridge, by where they are, and how long it has to stop.
func deployedBridges(t *testing.T) (settings map[string]map[string]string, grace map[string]time.Duration) {
	t.Helper()
	settings, grace = make(map[string]map[string]string), make(map[string]time.Duration)
	for name, service := range readCompose(t).Services {
		if strings.HasPrefix(name, "bridge-") {
			settings[name], grace[name] = service.Environment, service.StopGracePeriod
		}
	}
	pod := readManifests(t)["Deployment rotki-bridge"].Spec.Template.Spec
	if len(settings) != 3 || len(pod.Containers) != 1 {
		t.Fatalf("%d bridges in compose.yaml, %d containers in a Pod", len(settings), len(pod.Containers))
	}
	const where = "kubernetes"
	settings[where], grace[where] = make(map[string]string), time.Duration(pod.Grace)*time.Second
	for _, variable := range pod.Containers[0].Env {
		settings[where][variable.Name] = variable.Value
	}
	return settings, grace
}

// TestDeploySettings: each variable is a setting of the bridge, and each value one that it takes.
func TestDeploySettings(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	settings, grace := deployedBridges(t)
	for where, environment := range settings {
		t.Run(where, func(t *testing.T) {
			command := exec.Command(path, "serve", "--print-config")
			command.Env = []string{}
			for name, value := range environment {
				command.Env = append(command.Env, name+"="+value)
			}
			output, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v:\n%s", err, output)
			}
			printed := make(map[string]any)
			if _, err := toml.Decode(string(output), &printed); err != nil {
				t.Fatal(err)
			}
			for name, value := range environment {
				short, ok := strings.CutPrefix(name, "ROTKI_BRIDGE_")
				flag := strings.ToLower(strings.ReplaceAll(short, "_", "-"))
				have, there := printed[flag]
				if !ok || !there {
					t.Errorf("%s is no setting of the bridge", name)
				} else if !sameSetting(have, value) {
					t.Errorf("%s=%s became %s = %v", name, value, flag, have)
				}
			}
			drain, err := time.ParseDuration(fmt.Sprint(printed["drain-timeout"]))
			if err != nil {
				t.Fatal(err)
			}
			if saving := 5 * time.Second; grace[where] <= drain+saving {
				t.Errorf("it has %v to stop, and may take %v to drain and then %v to save sessions", grace[where], drain, saving)
			}
		})
	}
}

// sameSetting reports whether a setting that was printed is what a variable said.
func sameSetting(printed any, value string) bool {
	switch printed := printed.(type) {
	case []any:
		parts := make([]string, len(printed))
		for i, part := range printed {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, ",") == value
	case string:
		have, err := time.ParseDuration(printed)
		want, wrong := time.ParseDuration(value)
		return printed == value || err == nil && wrong == nil && have == want
	}
	return fmt.Sprint(printed) == value
}

// TestDeployFilesAgree: what one file says of another is so.
func TestDeployFilesAgree(t *testing.T) {
	compose, objects := readCompose(t), readManifests(t)
	nats, nginx := readDeploy(t, "nats.conf"), readDeploy(t, "nginx.conf")

	if inMap := objects["ConfigMap nats"].Data["nats.conf"]; inMap == "" || !strings.HasSuffix(nats, inMap) {
		t.Error("kubernetes.yaml's nats.conf is not what follows the comment in nats.conf")
	}
	settings, _ := deployedBridges(t)
	for where, environment := range settings {
		urls := strings.Split(environment["ROTKI_BRIDGE_NATS_URL"], ",")
		if len(urls) != objects["StatefulSet nats"].Spec.Replicas || fmt.Sprint(len(urls)) != environment["ROTKI_BRIDGE_STREAM_REPLICAS"] {
			t.Errorf("%s: %d NATS servers, %s replicas", where, len(urls), environment["ROTKI_BRIDGE_STREAM_REPLICAS"])
		}
		for _, server := range urls {
			u, err := url.Parse(server)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimSuffix(u.Hostname(), ".nats")
			service := compose.Services[name]
			if !slices.Contains(service.Networks["default"].Aliases, u.Hostname()) || service.Environment["NATS_NAME"] != name ||
				!strings.Contains(nats, "nats://"+u.Hostname()+":6222") {
				t.Errorf("%s: there is no server %s", where, server)
			}
		}
	}
	for name, service := range compose.Services {
		if address := service.Networks["default"].Address; strings.HasPrefix(name, "bridge-") &&
			(!strings.Contains(nginx, " "+address+":5043 ") || !strings.Contains(nginx, " "+address+":5044 ")) {
			t.Errorf("nginx.conf does not know %s at %s", name, address)
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s can be reached from other machines at %s", name, port)
			}
		}
		if len(service.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
	}
	for name, object := range objects {
		for _, port := range object.Spec.Ports {
			if object.Kind == "Service" && port.Port == 5045 {
				t.Errorf("%s has the admin port", name)
			}
		}
	}
}

// TestDeployCredentials: everybody must show a token, by a secret that comes from outside of the files.
func TestDeployCredentials(t *testing.T) {
	compose, pod := readCompose(t), readManifests(t)["Deployment rotki-bridge"].Spec.Template.Spec
	settings, _ := deployedBridges(t)
	for where, environment := range settings {
		if environment["ROTKI_BRIDGE_INSECURE_ALLOW_ANONYMOUS"] != "" {
			t.Errorf("%s lets in who is anonymous", where)
		}
		secret := environment["ROTKI_BRIDGE_JWT_SECRET_FILE"]
		if where == "kubernetes" {
			mount, volume := pod.Containers[0].Mounts, pod.Volumes
			if len(mount) != 1 || len(volume) != 1 || mount[0].Name != volume[0].Name || volume[0].Secret.Name != "rotki-bridge-jwt" ||
				secret != mount[0].Path+"/secret" {
				t.Errorf("%s: %s is not mounted", where, secret)
			}
			continue
		}
		name := strings.TrimPrefix(secret, "/run/secrets/")
		if !slices.Contains(compose.Services[where].Secrets, name) || compose.Secrets[name].File != "./"+name {
			t.Errorf("%s: there is no %s", where, secret)
		}
		if proxy := compose.Services["nginx"].Networks["default"].Address; proxy == "" || environment["ROTKI_BRIDGE_TRUSTED_PROXIES"] != proxy {
			t.Errorf("%s trusts %s, and nginx is at %q", where, environment["ROTKI_BRIDGE_TRUSTED_PROXIES"], proxy)
		}
	}
}

// TestDeployImages: images are pinned, and those of NATS and of Go are of the versions that the tests run with.
func TestDeployImages(t *testing.T) {
	images := make(map[string]bool)
	for _, service := range readCompose(t).Services {
		images[service.Image] = true
	}
	for _, object := range readManifests(t) {
		for _, container := range object.Spec.Template.Spec.Containers {
			images[container.Image] = true
		}
	}
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(readDeploy(t, "Dockerfile"), -1) {
		images[from[1]] = true
	}
	release := strings.TrimPrefix(moduleVersion(t, "{{.Version}}", "github.com/nats-io/nats-server/v2"), "v")
	language := strings.Join(strings.SplitN(moduleVersion(t, "{{.GoVersion}}"), ".", 3)[:2], ".")
	for _, tested := range []string{"nats:" + release + "-alpine", "golang:" + language + "-alpine"} {
		if !images[tested] {
			t.Errorf("go.mod has the version of %s, and the files do not", tested)
		}
	}
	for image := range images {
		name, tag, _ := strings.Cut(image, ":")
		made := image == "scratch" || image == "rotki-bridge"
		if !made && (tag == "" || tag == "latest" || strings.Contains(name, "/")) {
			t.Errorf("%q: name an image and its tag", image)
		}
		if version := map[string]string{"nats": release, "golang": language}[name]; version != "" && tag != version+"-alpine" {
			t.Errorf("%s: go.mod has version %s", image, version)
		}
	}
}

// moduleVersion returns what go.mod says of a module, of the main one by default.
func moduleVersion(t *testing.T, format string, module ...string) string {
	t.Helper()
	output, err := exec.Command("go", append([]string{"list", "-m", "-f", format}, module...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(output))
}
