package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"
)

// envPrefix begins the name of every environment variable that stands for a flag.
const envPrefix = "ROTKI_BRIDGE"

// notInFile are the flags that say where settings come from, and are none themselves.
var notInFile = []string{"help", "config", "print-config"}

// fileResolver takes flags from the TOML file that --config names: `http-addr = "127.0.0.1:5043"`. A flag that is in
// the environment is left to it, since kong lets a resolver win over the environment.
type fileResolver struct{}

// Validate implements kong.Resolver.
func (fileResolver) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (fileResolver) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	file := configFile(ctx)
	if file == "" || parent.Node().Type != kong.CommandNode || inEnvironment(flag) {
		return nil, nil
	}
	settings := make(map[string]any)
	if _, err := toml.DecodeFile(file, &settings); err != nil {
		return nil, fmt.Errorf("read --config: %w", err)
	}
	for name := range settings {
		if !isSetting(parent.Node(), name) {
			return nil, fmt.Errorf("%s: there is no setting %q; the settings are the flags of `rotki-bridge %s`, without the dashes in front",
				file, name, parent.Node().Name)
		}
	}
	switch value := settings[flag.Name].(type) {
	case nil:
		return nil, nil
	case []any:
		parts := make([]string, len(value))
		for i, part := range value {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, ","), nil
	case string, bool, int64:
		return fmt.Sprint(value), nil
	default:
		return nil, fmt.Errorf("%s: %s must be a string, a number, true or false, or a list of strings", file, flag.Name)
	}
}

// configFile returns the value of --config, from the command line or the environment.
func configFile(ctx *kong.Context) string {
	for _, flag := range ctx.Flags() {
		if flag.Name == "config" {
			value, _ := ctx.FlagValue(flag).(string)
			return value
		}
	}
	return ""
}

func inEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool {
		_, ok := os.LookupEnv(name)
		return ok
	})
}

func isSetting(command *kong.Node, name string) bool {
	return !slices.Contains(notInFile, name) &&
		slices.ContainsFunc(command.Flags, func(flag *kong.Flag) bool { return flag.Name == name })
}

// printConfig writes a command's settings as a file for --config.
func printConfig(w io.Writer, command *kong.Node) error {
	for _, flag := range command.Flags {
		if slices.Contains(notInFile, flag.Name) {
			continue
		}
		value := flag.Target.Interface()
		switch flag.Target.Kind() {
		case reflect.Slice:
			if flag.Target.Len() == 0 {
				value = []string{}
			}
		case reflect.Int64:
			value = fmt.Sprint(value) // a duration
		}
		text, err := toml.Marshal(map[string]any{flag.Name: value})
		if err != nil {
			return fmt.Errorf("print %s: %w", flag.Name, err)
		}
		if _, err := fmt.Fprintf(w, "# %s\n%s\n", flag.Help, text); err != nil {
			return err
		}
	}
	return nil
}
