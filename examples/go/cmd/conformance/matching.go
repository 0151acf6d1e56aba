package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// matcher compares answers, as protobuf JSON, with what is expected of them.
type matcher struct {
	start time.Time
	slack time.Duration // how far times may be off; 0 if the clock is stopped
}

// differences returns what is not as expected; only the fields of expected are compared.
func (m matcher) differences(expected, actual any, where string) []string {
	differs := []string{fmt.Sprintf("%s is %s, expected %s", where, shown(actual), shown(expected))}
	switch wanted := expected.(type) {
	case map[string]any:
		if name, argument, is := matching(wanted); is {
			if m.matches(name, argument, actual) {
				return nil
			}
			return differs
		}
		fields, is := actual.(map[string]any)
		if !is {
			return differs
		}
		var all []string
		for key, value := range wanted {
			all = append(all, m.differences(value, fields[key], where+"."+key)...)
		}
		return all
	case []any:
		items, _ := actual.([]any)
		if len(items) != len(wanted) {
			return differs
		}
		var all []string
		for place, value := range wanted {
			all = append(all, m.differences(value, items[place], fmt.Sprintf("%s.%d", where, place))...)
		}
		return all
	}
	if !same(expected, actual) {
		return differs
	}
	return nil
}

func matching(value map[string]any) (name string, argument any, is bool) {
	for name, argument := range value {
		if len(value) == 1 && strings.HasPrefix(name, "$") {
			return name, argument, true
		}
	}
	return "", nil, false
}

func (m matcher) matches(name string, argument, actual any) bool {
	text, isText := actual.(string)
	items, _ := actual.([]any)
	switch name {
	case "$any":
		return (actual != nil) == argument.(bool)
	case "$contains":
		return isText && strings.Contains(text, argument.(string))
	case "$matches":
		found, err := regexp.MatchString(`^(?:`+argument.(string)+`)$`, text)
		return isText && err == nil && found
	case "$time":
		when, err := time.Parse(time.RFC3339Nano, text)
		return err == nil && m.near(when.Sub(m.start), argument.(string))
	case "$duration":
		long, err := seconds(text)
		return err == nil && m.near(span(long), argument.(string))
	case "$between":
		bounds := argument.([]any)
		number := float(actual)
		if isText {
			number, _ = seconds(text)
		}
		return float(bounds[0]) <= number && number <= float(bounds[1])
	case "$length":
		if isText {
			return float64(utf8.RuneCountInString(text)) == float(argument)
		}
		return float64(len(items)) == float(argument)
	case "$includes":
		for _, value := range argument.([]any) {
			found := false
			for _, item := range items {
				found = found || len(m.differences(value, item, "")) == 0
			}
			if !found {
				return false
			}
		}
		return true
	}
	return false
}

func (m matcher) near(actual time.Duration, expected string) bool {
	long, err := seconds(expected)
	// The service keeps microseconds.
	return err == nil && (actual-span(long)).Abs() < m.slack+time.Microsecond
}

func seconds(text string) (float64, error) {
	return strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64)
}

func float(value any) float64 {
	switch value := value.(type) {
	case json.Number:
		number, _ := value.Float64()
		return number
	case float64:
		return value
	}
	return 0
}

// same says whether two plain values are the same; a default value is the same as unset.
func same(expected, actual any) bool {
	if expected == nil || actual == nil {
		return empty(expected) && empty(actual)
	}
	if number, is := expected.(float64); is {
		if text, is := actual.(string); is { // 64-bit numbers are texts in protobuf JSON
			return strconv.FormatFloat(number, 'f', -1, 64) == text
		}
	}
	return expected == actual
}

func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case float64:
		return value == 0
	case bool:
		return !value
	case []any:
		return len(value) == 0
	}
	return false
}

func shown(value any) string {
	if value == nil {
		return "unset"
	}
	text, _ := json.Marshal(value)
	return string(text)
}
