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

// settings are what the TOML file that --config names says: `http-addr = "127.0.0.1:5043"`. A flag that is in the
// environment is left to it, since kong lets a resolver win over the environment.
type settings map[string]any

// BeforeResolve implements kong's hook. It reads the file once: it may be a pipe.
func (c *serveCommand) BeforeResolve(ctx *kong.Context) error {
	file := configFile(ctx)
	if file == "" {
		return nil
	}
	s := make(settings)
	if _, err := toml.DecodeFile(file, (*map[string]any)(&s)); err != nil {
		return fmt.Errorf("--config %s: %w", file, err)
	}
	for name, value := range s {
		if !isSetting(ctx.Selected(), name) {
			return fmt.Errorf("--config %s: there is no setting %q; the settings are the flags of `rotki-bridge %s`, without the dashes in front",
				file, name, ctx.Selected().Name)
		}
		if !isPlain(value, isList(ctx.Selected(), name)) {
			return fmt.Errorf("--config %s: %s must be a string, a number, true or false, or, where the flag takes several, a list of strings", file, name)
		}
	}
	ctx.AddResolver(s)
	return nil
}

// Validate implements kong.Resolver.
func (settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s settings) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := s[flag.Name]
	if !ok || parent.Node().Type != kong.CommandNode || inEnvironment(flag) {
		return nil, nil
	}
	if list, ok := value.([]any); ok {
		parts := make([]string, len(list))
		for i, part := range list {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, ","), nil
	}
	return fmt.Sprint(value), nil
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
		return os.Getenv(name) != ""
	})
}

// isPlain reports whether a value of a file can stand for a flag.
func isPlain(value any, several bool) bool {
	switch value := value.(type) {
	case string, bool, int64:
		return true
	case []any:
		return several && !slices.ContainsFunc(value, func(element any) bool {
			_, text := element.(string)
			return !text
		})
	}
	return false
}

// isList reports whether a flag takes several values.
func isList(command *kong.Node, name string) bool {
	return slices.ContainsFunc(command.Flags, func(flag *kong.Flag) bool {
		return flag.Name == name && flag.Target.Kind() == reflect.Slice
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
