package clearway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/gowebpki/jcs"
)

var maxSafe = big.NewInt(1<<53 - 1)

// Key returns the cache key of a task's arguments: the same in every language that follows docs/cache-keys.md.
func Key(task string, arguments map[string]any) (string, error) {
	canonical, err := Canonical(task, arguments)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(canonical)
	return hex.EncodeToString(digest[:]), nil
}

// Canonical returns the text that Key hashes: canonical JSON (RFC 8785).
func Canonical(task string, arguments map[string]any) ([]byte, error) {
	text, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // float64 would hide large integers
	tree := map[string]any{}
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	for name, value := range tree {
		if tree[name], err = form(value); err != nil {
			return nil, fmt.Errorf("argument %q: %w", name, err)
		}
	}
	text, err = json.Marshal(map[string]any{"arguments": tree, "function": "", "task_key": task})
	if err != nil {
		return nil, err
	}
	return jcs.Transform(text)
}

// form returns a value in the form that it has in keys; see the table in docs/cache-keys.md.
func form(value any) (any, error) {
	var err error
	switch value := value.(type) {
	case json.Number:
		return number(value.String())
	case []any:
		for place := range value {
			if value[place], err = form(value[place]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range value {
			if strings.HasPrefix(name, "$") {
				return nil, fmt.Errorf("the name %q begins with $; this client has no form for that", name)
			}
			if value[name], err = form(value[name]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// number returns a number's form. Go's encoding/json writes 1.0 as 1, so it becomes the integer.
func number(text string) (any, error) {
	if whole, is := new(big.Int).SetString(text, 10); is {
		if whole.CmpAbs(maxSafe) > 0 {
			return map[string]any{"$int": whole.String()}, nil
		}
		return json.Number(text), nil
	}
	float, err := strconv.ParseFloat(text, 64)
	if err == nil && float == math.Trunc(float) {
		return nil, fmt.Errorf("%s: a number without a fraction has to be an integer", text)
	}
	return json.Number(text), err
}
