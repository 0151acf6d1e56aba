package clearway

import (
	"encoding/json"
	"os"
	"testing"
)

// The vectors say what keys all languages make.
func TestKeysAreThoseOfAllLanguages(t *testing.T) {
	text, err := os.ReadFile("../../../tests/conformance/cache_keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name, Canonical, Key string
			TaskKey              string `json:"task_key"`
			Function             string
			Arguments            map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, vector := range file.Vectors {
		t.Run(vector.Name, func(t *testing.T) {
			if vector.Function != "" {
				t.Fatalf("function is %q; keys that languages share have none", vector.Function)
			}
			arguments := make(map[string]any)
			for name, value := range vector.Arguments {
				arguments[name] = value
			}
			canonical, err := Canonical(vector.TaskKey, arguments)
			if err != nil {
				t.Fatal(err)
			}
			if string(canonical) != vector.Canonical {
				t.Errorf("canonical is %s, expected %s", canonical, vector.Canonical)
			}
			if key, err := Key(vector.TaskKey, arguments); err != nil || key != vector.Key {
				t.Errorf("key is %s (%v), expected %s", key, err, vector.Key)
			}
		})
	}
}

func TestWhatHasAFormOfItsOwn(t *testing.T) {
	canonical, err := Canonical("t", map[string]any{"big": uint64(1) << 60, "whole": 1.0})
	const expected = `{"arguments":{"big":{"$int":"1152921504606846976"},"whole":1},"function":"","task_key":"t"}`
	if err != nil || string(canonical) != expected {
		t.Errorf("canonical is %s (%v), expected %s", canonical, err, expected)
	}
	if _, err := Key("t", map[string]any{"a": map[string]any{"$x": 1}}); err == nil {
		t.Error("a name with $ has no form here, and has to be refused")
	}
}
