// Conformance plays the scenarios of docs/conformance.md on a server, and says how each went.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var needs = map[string]string{
	"clock":   "the service's clock is moved",
	"restart": "the service is killed and started again",
	"wire":    "what is seen only on a connection: the order of messages, pongs",
}

type document struct {
	About     string           `json:"about"`
	Before    []map[string]any `json:"before"`
	Scenarios []scenario       `json:"scenarios"`
}

type scenario struct {
	Name  string           `json:"name"`
	Why   string           `json:"why"`
	Needs []string         `json:"needs"`
	Steps []map[string]any `json:"steps"`
	file  string
}

func main() {
	address := flag.String("address", "", "host:port of a server that runs; its clock is not moved")
	command := flag.String("server", "", "a command that starts a server whose clock can be moved; words are split at spaces")
	folder := flag.String("scenarios", "tests/conformance/scenarios", "where the scenarios are")
	only := flag.String("only", "", "play the scenarios with this in their name or file")
	flag.Parse()
	if (*address == "") == (*command == "") {
		fmt.Fprintln(os.Stderr, "one of --address and --server must be given")
		os.Exit(2)
	}
	if err := run(*address, *command, *folder, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, command, folder, only string) error {
	scenarios, err := read(folder)
	if err != nil {
		return err
	}
	server, err := newServer(address, command)
	if err != nil {
		return err
	}
	defer server.close()
	began, passed, failed, leftOut := time.Now(), 0, 0, 0
	for _, each := range scenarios {
		if !strings.Contains(each.Name, only) && !strings.Contains(each.file, only) {
			continue
		}
		if absent := server.lacks(each.Needs); len(absent) > 0 {
			leftOut++
			fmt.Printf("left out  %s: it needs that %s\n", each.Name, strings.Join(absent, " and "))
			continue
		}
		if err := play(each, server); err != nil {
			failed++
			fmt.Printf("FAILED    %s: %q\n%v\n", each.file, each.Name, err)
			continue
		}
		passed++
		fmt.Println("passed   ", each.Name)
	}
	fmt.Printf("%d passed, %d failed, %d left out, in %.1f s\n", passed, failed, leftOut, time.Since(began).Seconds())
	if failed > 0 || passed+leftOut == 0 {
		return fmt.Errorf("%d scenarios failed, %d passed", failed, passed)
	}
	return nil
}

func read(folder string) ([]scenario, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no scenarios in %s: %v", folder, err)
	}
	var all []scenario
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var read document
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&read); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, each := range read.Scenarios {
			each.file = filepath.Base(path)
			each.Steps = slices.Concat(read.Before, each.Steps)
			all = append(all, each)
		}
	}
	return all, nil
}
