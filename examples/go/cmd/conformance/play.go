package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "github.com/clearway/clearway/protos/go/clearway/v1"
)

const moves = 20

var methods = pb.File_clearway_v1_orchestrator_proto.Services().ByName("Orchestrator").Methods()

type outcome struct {
	answer any // as protobuf JSON
	err    error
}

// player does the steps of one scenario.
type player struct {
	server  *server
	values  *values
	began   time.Time
	streams map[string]*stream
	calls   map[string]chan outcome
}

func play(each scenario, s *server) error {
	began := time.Now() // before the service's clock is read, so that the slack covers that call
	now, err := s.now()
	if err != nil {
		return err
	}
	p := &player{
		server:  s,
		values:  &values{now: now, made: make(map[string]string), saved: make(map[string]any)},
		began:   began,
		streams: make(map[string]*stream),
		calls:   make(map[string]chan outcome),
	}
	for number, step := range each.Steps {
		if err := p.do(step); err != nil {
			return fmt.Errorf("step %d of %d: %s\n%w", number+1, len(each.Steps), shown(step), err)
		}
	}
	for name, opened := range p.streams {
		if left := opened.unread(); len(left) > 0 {
			return fmt.Errorf("stream %q brought decisions that no step awaits: %v", name, left)
		}
		opened.finish()
	}
	return nil
}

func (p *player) do(step map[string]any) error {
	text := func(key string) string { found, _ := step[key].(string); return found }
	switch {
	case step["call"] != nil && step["background"] != nil:
		done := make(chan outcome, 1)
		p.calls[text("background")] = done
		request := p.values.fill(step["request"])
		go func() { done <- p.call(text("call"), request) }()
		return nil
	case step["call"] != nil && step["eventually"] == true:
		return p.repeat(func() error { return p.compare(step, p.call(text("call"), p.values.fill(step["request"]))) })
	case step["call"] != nil:
		return p.compare(step, p.call(text("call"), p.values.fill(step["request"])))
	case step["await"] != nil:
		return p.compare(step, <-p.calls[text("await")])
	case step["open"] != nil:
		return p.open(text("open"), step)
	case step["stream"] != nil:
		return p.exchange(p.streams[text("stream")], step)
	case step["half_close"] != nil:
		return p.streams[text("half_close")].call.CloseSend()
	case step["kill"] != nil:
		p.streams[text("kill")].cancel()
		delete(p.streams, text("kill"))
		return nil
	case step["ended"] != nil:
		ended := p.streams[text("ended")].awaitEnd()
		delete(p.streams, text("ended"))
		return p.compare(step, outcome{map[string]any{}, ended})
	case step["advance"] != nil:
		return p.advance(text("advance"), step["until"])
	case step["restart"] != nil:
		return p.server.restart()
	}
	return fmt.Errorf("there is no such step")
}

func (p *player) open(name string, step map[string]any) error {
	first := step["first"]
	if first == nil {
		first = map[string]any{"hello": map[string]any{"clientName": "conformance"}}
	}
	message := &pb.ProposeRequest{}
	if err := parse(p.values.fill(first), message); err != nil {
		return err
	}
	opened, err := openStream(p.server, message)
	if err != nil {
		return err
	}
	welcome, err := opened.awaitWelcome()
	if step["error"] == nil {
		p.streams[name] = opened
	}
	return p.compare(step, outcome{plain(welcome), err})
}

func (p *player) exchange(opened *stream, step map[string]any) error {
	if step["send"] != nil {
		message := &pb.ProposeRequest{}
		if err := parse(p.values.fill(step["send"]), message); err != nil {
			return err
		}
		opened.send(message)
	}
	if number, is := step["pong"].(float64); is {
		if err := opened.pong(int64(number)); err != nil {
			return err
		}
	}
	decisions, _ := step["decisions"].([]any)
	for place, decision := range decisions {
		expected := p.values.fill(decision).(map[string]any)
		came, err := opened.decision(expected["proposalId"].(string))
		if err != nil {
			return err
		}
		if err := p.check(expected, plain(came)); err != nil {
			return err
		}
		if place == len(decisions)-1 {
			return p.save(step["save"], plain(came))
		}
	}
	return nil
}

func (p *player) advance(by string, until any) error {
	long, err := seconds(by)
	if err != nil {
		return err
	}
	for move := 1; ; move++ {
		if err := p.server.advance(long); err != nil {
			return err
		}
		if until == nil {
			return nil
		}
		call := until.(map[string]any)
		err := p.compare(call, p.call(call["call"].(string), p.values.fill(call["request"])))
		if err == nil {
			return nil
		}
		if move == moves {
			return fmt.Errorf("after %d moves of the clock: %w", moves, err)
		}
	}
}

func (p *player) repeat(try func() error) error {
	for end := time.Now().Add(deadline); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("even after %v: %w", deadline, err)
		}
	}
}

// call makes a unary call, whose messages are found by the method's descriptor.
func (p *player) call(name string, request any) outcome {
	method := methods.ByName(protoreflect.Name(name))
	if method == nil {
		return outcome{err: fmt.Errorf("%q is no RPC", name)}
	}
	input, answer := newMessage(method.Input()), newMessage(method.Output())
	if request == nil {
		request = map[string]any{}
	}
	if err := parse(request, input); err != nil {
		return outcome{err: err}
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	err := p.server.conn.Invoke(ctx, "/clearway.v1.Orchestrator/"+name, input, answer)
	return outcome{plain(answer), err}
}

// compare checks a response or failure, and saves the values that the step names.
func (p *player) compare(step map[string]any, got outcome) error {
	if expected := step["error"]; expected != nil {
		if got.err == nil {
			return fmt.Errorf("it was to fail with %s, and was answered %s", shown(expected), shown(got.answer))
		}
		return p.check(p.values.fill(expected), facts(got.err))
	}
	if got.err != nil {
		return got.err
	}
	if expected := step["expect"]; expected != nil {
		if err := p.check(p.values.fill(expected), got.answer); err != nil {
			return err
		}
	}
	return p.save(step["save"], got.answer)
}

func (p *player) check(expected, got any) error {
	slack := time.Duration(0)
	if p.server.process == nil {
		slack = time.Since(p.began)
	}
	if differences := (matcher{p.values.now, slack}).differences(expected, got, "answer"); len(differences) > 0 {
		return fmt.Errorf("not as expected:\n%s\nall of it: %s", strings.Join(differences, "\n"), shown(got))
	}
	return nil
}

func (p *player) save(wanted, got any) error {
	names, _ := wanted.(map[string]any)
	for name, path := range names {
		value, err := at(got, path.(string))
		if err != nil {
			return err
		}
		p.values.saved[name] = value
	}
	return nil
}

func newMessage(descriptor protoreflect.MessageDescriptor) proto.Message {
	// All of the service's messages are among the stubs.
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		panic(err)
	}
	return kind.New().Interface()
}

func parse(value any, into proto.Message) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return protojson.Unmarshal(text, into)
}

// plain returns a message as protobuf JSON, without unset fields.
func plain(message proto.Message) any {
	text, err := protojson.Marshal(message)
	if err != nil {
		return err.Error()
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err.Error()
	}
	return value
}
