package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// values are what placeholders stand for in one play of one scenario.
type values struct {
	now   time.Time
	made  map[string]string
	saved map[string]any
}

// fill returns a JSON value with all its placeholders replaced.
func (v *values) fill(value any) any {
	switch value := value.(type) {
	case string:
		return placeholder.ReplaceAllStringFunc(value, func(found string) string { return v.value(found[2 : len(found)-1]) })
	case map[string]any:
		filled := make(map[string]any, len(value))
		for key, each := range value {
			filled[key] = v.fill(each)
		}
		return filled
	case []any:
		filled := make([]any, len(value))
		for place, each := range value {
			filled[place] = v.fill(each)
		}
		return filled
	}
	return value
}

func (v *values) value(inner string) string {
	kind, name, _ := strings.Cut(inner, ".")
	switch kind {
	case "saved":
		if saved, is := v.saved[name]; is {
			return fmt.Sprint(saved)
		}
	case "id", "text":
		if _, is := v.made[inner]; !is {
			v.made[inner] = uuid.Must(uuid.NewV7()).String()
			if kind == "text" {
				v.made[inner] = name + "-" + v.made[inner]
			}
		}
		return v.made[inner]
	default:
		if moved, is := strings.CutPrefix(inner, "now"); is {
			if moved == "" {
				moved = "+0s"
			}
			if offset, err := seconds(moved); err == nil {
				return v.now.Add(span(offset)).UTC().Format(time.RFC3339Nano)
			}
		}
	}
	return "${" + inner + "} is no placeholder, or nothing saved it"
}

// span returns seconds as a duration, exact to the microsecond.
func span(seconds float64) time.Duration {
	return time.Duration(seconds*1e6+0.5*sign(seconds)) * time.Microsecond
}

func sign(number float64) float64 {
	if number < 0 {
		return -1
	}
	return 1
}

// at returns the value at a path such as flowRun.state.0.
func at(value any, path string) (any, error) {
	for part := range strings.SplitSeq(path, ".") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[part]
		case []any:
			place, err := strconv.Atoi(part)
			if err != nil || place >= len(inner) {
				return nil, fmt.Errorf("there is no %s: %q of %v", path, part, inner)
			}
			value = inner[place]
		}
	}
	if value == nil {
		return nil, fmt.Errorf("there is no %s", path)
	}
	return value, nil
}
