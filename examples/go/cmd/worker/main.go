// The worker counts words. Each file is read by a task run under a tag's limit, which is retried if the file does not
// exist yet, and counted by another, whose result is cached under a key that all languages make.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/clearway/clearway/examples/go/clearway"
)

var (
	address = flag.String("address", "127.0.0.1:4200", "host:port of the service")
	name    = flag.String("name", "go-worker", "who the service shows as the client")
	flow    = flag.String("flow", "word-count", "the flow's name")
	tag     = flag.String("tag", "disk", "the tag of the runs that read; a limit on it applies to all languages")
	retries = flag.Int("retries", 3, "how many times a file that cannot be read is tried again")
	delay   = flag.Duration("retry-delay", time.Second, "how long before that")
	repeat  = flag.Int("repeat", 1, "how many times each file is read")
	connect = flag.Duration("connect-timeout", 10*time.Second, "how long the first connection may take")
	pause   = flag.Duration("pause", 0, "how long a run keeps its slot after it has read")
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: worker [options] FILE...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := work(ctx, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
}

func work(ctx context.Context, files []string) (err error) {
	connecting, cancel := context.WithTimeout(ctx, *connect)
	defer cancel()
	session, err := clearway.Dial(connecting, *address, clearway.Options{
		Name: *name,
		Logf: func(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format+"\n", arguments...) },
	})
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, session.Close(ending))
	}()
	parameters := map[string]any{"files": files, "repeat": *repeat}
	id, err := session.RunFlow(ctx, *flow, parameters, func(ctx context.Context, run *clearway.FlowRun) (any, error) {
		fmt.Println("flow run", run.ID)
		return countAll(ctx, run, files)
	})
	if err == nil {
		fmt.Println("completed", id)
	}
	return err
}

// countAll counts the words of all files at once; only the service's limits hold them back.
func countAll(ctx context.Context, run *clearway.FlowRun, files []string) (map[string]int, error) {
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		counts = make(map[string]int)
		failed []error
	)
	for round := range *repeat {
		for place, file := range files {
			group.Go(func() {
				count, err := countFile(ctx, run, file, strconv.Itoa(round*len(files)+place))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", file, err))
					return
				}
				if round == 0 {
					fmt.Println(count, file)
				}
				counts[filepath.Base(file)] = count
			})
		}
	}
	group.Wait()
	return counts, errors.Join(failed...)
}

func countFile(ctx context.Context, run *clearway.FlowRun, file, dynamicKey string) (int, error) {
	read, err := run.Do(ctx, dynamicKey, clearway.Task{
		Key: "read", Tags: []string{*tag}, Retries: int32(*retries), RetryDelay: *delay,
		Run: func(ctx context.Context) (any, error) { return readFile(ctx, file) },
	})
	if err != nil {
		return 0, err
	}
	var text string
	if err := json.Unmarshal(read, &text); err != nil {
		return 0, err
	}
	key, err := clearway.Key("word_count", map[string]any{"text": text})
	if err != nil {
		return 0, err
	}
	counted, err := run.Do(ctx, dynamicKey, clearway.Task{
		Key: "word_count", CacheKey: key, CacheExpiration: 24 * time.Hour,
		Run: func(context.Context) (any, error) { return len(strings.Fields(text)), nil },
	})
	if err != nil {
		return 0, err
	}
	var count int
	return count, json.Unmarshal(counted, &count)
}

// readFile reads a file, and returns early if ctx ends.
func readFile(ctx context.Context, file string) (string, error) {
	type content struct {
		text []byte
		err  error
	}
	done := make(chan content, 1)
	go func() {
		text, err := os.ReadFile(file)
		done <- content{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case read := <-done:
		select {
		case <-time.After(*pause):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		return string(read.text), read.err
	}
}
